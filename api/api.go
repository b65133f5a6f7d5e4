package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

// Cluster is what the API asks of the member's place in the cluster.
type Cluster interface {
	// Propose commits a command and returns when it is applied here; it holds
	// the command for as long as leadership moves, ten seconds at most.
	Propose(ctx context.Context, c store.Command) (store.Answer, error)
	// ReadIndex returns when the local store is as new as the cluster was at the call.
	ReadIndex(ctx context.Context) error
	Leader() (id string, ok bool)
	// Removed says whether this member was taken out of the cluster.
	Removed() bool
	Peers(ctx context.Context) ([]model.Peer, error)
	// Remove takes a member, by id or name, out of the cluster.
	Remove(ctx context.Context, member string) error
	// HandOver moves leadership to a member, by id or name; "" leaves the choice.
	HandOver(ctx context.Context, to string) error
	// NewJoinToken makes a token that lets members join for ttl; 0 leaves the choice.
	NewJoinToken(ctx context.Context, ttl time.Duration) (token string, expires time.Time, err error)
	Enrol(ctx context.Context, r cluster.EnrolRequest) (cluster.EnrolAnswer, error)
}

// Upgrader is what the API asks of the upgrade. Status is not changed by the caller.
type Upgrader interface {
	Stage(ctx context.Context, in upgrader.Upload) (model.BlobInfo, upgrader.Outcome, error)
	Inline(ctx context.Context, in upgrader.Upload) (model.BlobInfo, upgrader.Outcome, error)
	Received(ctx context.Context, digest string) (upgrader.Received, error)
	Start(ctx context.Context, body []byte, by string) error
	Cancel(ctx context.Context, by string) error
	Unstage(ctx context.Context, by string) (pending bool, err error)
	Complete(ctx context.Context, body []byte, by string) error
	CheckAll(ctx context.Context) (model.CheckReport, error)
	Plan(to string, known []string) (model.Plan, error)
	VerifyAll(ctx context.Context) (model.VerifyReport, error)
	Pause(ctx context.Context, by string) error
	Resume(ctx context.Context, by string) error
	Rollback(ctx context.Context, by string) error
	Exec() (upgrader.ExecAnswer, error)
	// Pass is what the migration may do that was handed the secret.
	Pass(secret string) (model.Pass, bool)
	// Progress is how far the data of the upgrade is.
	Progress() (model.MigrationReport, error)
	Issues() ([]string, error)
	Features() ([]model.Feature, error)
	Status() (model.Profile, error)
	Backup(ctx context.Context, reason, by string) (model.Backup, error)
	Backups(ctx context.Context) (model.BackupList, error)
	OpenBackup(ctx context.Context, name string) (body io.ReadCloser, size int64, err error)
	DropBackup(ctx context.Context, name string) error
	Restore(ctx context.Context, body io.Reader, by string) (model.Restored, error)
}

// Deps are the floors below.
type Deps struct {
	Store    *store.Store
	Cluster  Cluster
	Upgrader Upgrader
	Jobs     Jobs
	Self     model.Member // this member, as it reports itself
}

// API answers HTTP requests. It may serve before the floors below are open:
// requests that need them wait for SetReady.
type API struct {
	Deps // read only after started is closed

	log      *slog.Logger
	routes   *chi.Mux
	started  chan struct{}
	draining atomic.Bool
	logins   *logins
	idle     time.Duration // how long a body may stand still
	status   atomic.Pointer[snapshot]
	progress atomic.Pointer[snapshot] // what of it is open
	origins  *http.CrossOriginProtection
	secure   http.Header // what every answer carries; shared, so never appended to
}

// New makes an API that is not ready yet.
func New(log *slog.Logger) *API {
	a := &API{log: log, started: make(chan struct{}), logins: newLogins(), idle: uploadIdle,
		origins: http.NewCrossOriginProtection(), secure: secure()}
	a.routes = a.router()
	return a
}

// SetReady hands over the floors below and lets waiting requests go on. It is
// called once.
func (a *API) SetReady(d Deps) {
	a.Deps = d
	close(a.started)
}

// root is not for r.Route: a router in a router finds its way twice.
const root = "/api/v3"

// router is all there is. Open routes ask for nothing. The others wait for the
// store; "vital" ones answer even on a member whose store has stopped.
func (a *API) router() *chi.Mux {
	r := chi.NewRouter()
	r.NotFound(a.answer(unknownRoute))
	r.MethodNotAllowed(a.answer(a.otherMethod))
	login := func(h handler) http.HandlerFunc {
		return a.answer(a.whenStarted(a.withLogin(a.whenSound(a.indexed(h)))))
	}
	vital := func(h handler) http.HandlerFunc { return a.answer(a.whenStarted(a.withLogin(a.indexed(h)))) }

	get(r, "/healthz", a.answer(a.healthz))
	get(r, "/readyz", a.answer(a.readyz))
	get(r, "/openapi.yaml", a.answer(description))
	get(r, "/upgradeprogress", a.answer(a.openProgress))
	get(r, root+"/info", vital(a.info))
	r.Get(root+"/users/{name}/token", login(a.newToken))

	get(r, root+"/profiles", login(a.listProfiles))
	r.Post(root+"/profiles", login(a.createProfile))
	r.Patch(root+"/profiles", login(a.changeParams))
	get(r, root+"/profiles/{name}", login(a.getProfile))
	r.Put(root+"/profiles/{name}", login(a.putProfile))
	r.Delete(root+"/profiles/{name}", login(a.deleteProfile))
	get(r, root+"/profiles/{name}/params", login(a.getParams))
	r.Post(root+"/profiles/{name}/params", login(a.replaceParams))
	get(r, root+"/profiles/{name}/params/*", login(a.getParam))
	r.Post(root+"/profiles/{name}/params/*", login(a.setParam))
	r.Delete(root+"/profiles/{name}/params/*", login(a.removeParam))

	get(r, root+"/audit", login(a.listActs))
	get(r, root+"/features", login(a.listFeatures))
	get(r, root+"/jobs", login(a.listJobs))
	r.Post(root+"/jobs", login(a.makeJob))
	get(r, root+"/jobs/{id}", login(a.getJob))
	r.Delete(root+"/jobs/{id}", login(a.cancelJob))
	r.Get(root+"/jobs/{id}/log", login(a.jobLog))
	r.Post(root+"/jobs/{id}/pause", login(a.pauseJob))
	r.Post(root+"/jobs/{id}/resume", login(a.resumeJob))
	r.Post(root+"/jobs/{id}/pace", login(a.paceJob))
	get(r, root+"/backups", login(a.listBackups))
	r.Post(root+"/backups", login(a.makeBackup))
	r.Post(root+"/backups/restore", login(a.restore))
	r.Get(root+"/backups/{name}", login(a.getBackup))
	r.Delete(root+"/backups/{name}", login(a.dropBackup))

	get(r, "/api/v0/jobs", login(a.listRegistryJobs))
	r.Post("/api/v0/jobs", login(a.makeRegistryJob))

	r.Post(root+"/system/upgrade", login(a.inline))
	r.Post(root+"/system/upgrade/stage", login(a.stage))
	get(r, root+"/system/upgrade/stage", login(a.received))
	r.Delete(root+"/system/upgrade/stage", login(a.unstage))
	r.Post(root+"/system/upgrade/run", login(a.run))
	r.Delete(root+"/system/upgrade/run", login(a.cancel))
	get(r, root+"/system/upgrade/history", login(a.listHistory))
	get(r, root+"/system/upgrade/history/{id}", login(a.getHistory))
	get(r, root+"/system/upgrade/status", vital(a.upgradeStatus))
	get(r, root+"/system/upgrade/progress", login(a.upgradeProgress))
	r.Post(root+"/system/upgrade/exec", login(a.exec))
	r.Post(root+"/system/upgrade/complete", login(a.complete))
	r.Post(root+"/system/upgrade/pause", login(a.pause))
	r.Post(root+"/system/upgrade/resume", login(a.resume))
	r.Post(root+"/system/upgrade/rollback", login(a.rollback))
	get(r, root+"/system/upgrade/plan", login(a.plan))
	r.Get(root+"/system/upgrade/check", login(a.check))
	r.Post(root+"/system/upgrade/check", login(a.check))
	r.Get(root+"/system/upgrade/verify", login(a.verify))
	r.Post(root+"/system/upgrade/verify", login(a.verify))

	get(r, root+"/system/consensus/peers", vital(a.peers))
	get(r, root+"/system/consensus/leader", login(a.leader))
	get(r, root+"/system/consensus/active", login(a.leader))
	get(r, root+"/system/consensus/id", login(a.ownID))
	get(r, root+"/system/consensus/state", login(a.consensusState))
	get(r, root+"/system/consensus/fullstate", login(a.fullState))
	get(r, root+"/system/consensus/introduction", login(a.introduction))
	r.Post(root+"/system/consensus/failOverSafe", login(a.failOverSafe))
	r.Post(root+"/system/consensus/tokens", login(a.newJoinToken))
	r.Post(root+"/system/consensus/enroll", a.answer(a.whenStarted(a.whenSound(a.enroll))))
	r.Post(root+"/system/consensus/transfer", login(a.transfer))
	r.Delete(root+"/system/consensus/node/{id}", login(a.removeMember))
	return r
}

// get routes GET, and HEAD, which is GET without the body.
func get(r chi.Router, path string, h http.HandlerFunc) {
	r.Get(path, h)
	r.Head(path, h)
}

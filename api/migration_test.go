package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// migrating is a member of a cluster that migrates data: the first attempt of the
// job has the pass in its hands, and nobody else may write.
func migrating(t *testing.T, pass string) *member {
	t.Helper()
	m := readyMember(t)
	m.want(t, "POST", "/api/v3/profiles", sent, 201, "")
	a := model.Archive{Digest: "00", Version: "1.1.0", Migrations: []model.Migration{{Name: "item-form", Phase: model.Migrate}}}
	must(t, m.cluster, store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "u1", Archive: a}})
	must(t, m.cluster, store.OpStageCommit, store.StageCommit{ID: "u1", Upgrade: model.Upgrade{ID: "u1", Archive: a, Phase: model.Migrating}})
	must(t, m.cluster, store.OpJobMigrate, store.JobMigrate{Upgrade: "u1", Action: "item-form", Holds: true})
	m.take(t, pass, 0)
	return m
}

// take begins an attempt, and hands it a pass.
func (m *member) take(t *testing.T, pass string, epoch int) {
	t.Helper()
	id := m.migration(t)
	must(t, m.cluster, store.OpJobTake, store.JobTake{ID: id, Epoch: epoch, Runner: "m1"})
	m.upgrader.passes = map[string]model.Pass{pass: {Job: id, Epoch: epoch + 1, Action: "item-form"}}
}

// migration is the id of the one job that there is.
func (m *member) migration(t *testing.T) string {
	t.Helper()
	all, err := m.jobs.Jobs()
	if err != nil || len(all) != 1 {
		t.Fatalf("%d jobs, %v", len(all), err)
	}
	return all[0].ID
}

func as(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// profileWrites are all routes that change profiles, each with a body that it takes.
func profileWrites() map[string]string {
	return map[string]string{
		"POST /api/v3/profiles":                  `{"Name":"p2"}`,
		"PATCH /api/v3/profiles":                 `{"Changes":[{"Profile":"p1","Key":"a/b","Was":1,"Now":2}]}`,
		"PUT /api/v3/profiles/p1":                sent,
		"DELETE /api/v3/profiles/p1":             "",
		"POST /api/v3/profiles/p1/params":        `{"a/b":2}`,
		"POST /api/v3/profiles/p1/params/a/b":    `2`,
		"DELETE /api/v3/profiles/p1/params/a/b":  "",
		"DELETE /api/v3/profiles/gone":           "",
		"DELETE /api/v3/profiles/p1/params/gone": "",
	}
}

func TestEveryWriteRouteOfProfilesIsTried(t *testing.T) {
	m := readyMember(t)
	for _, r := range routes(t, m) {
		if !strings.HasPrefix(r.pattern, "/api/v3/profiles") || r.method == "GET" || r.method == "HEAD" {
			continue
		}
		path := strings.NewReplacer("{name}", "p1", "*", "a/b").Replace(r.pattern)
		if _, tried := profileWrites()[r.method+" "+path]; !tried {
			t.Errorf("%s %s is not among those that wait for a migration", r.method, path)
		}
	}
}

func TestPeopleWaitForAMigrationAndReadMeanwhile(t *testing.T) {
	m := migrating(t, newSecret())
	for write, body := range profileWrites() {
		method, path, _ := strings.Cut(write, " ")
		w := m.want(t, method, path, body, 503, "")
		if w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "theseus system upgrade progress") {
			t.Errorf("%s: Retry-After %q, %s", write, w.Header().Get("Retry-After"), w.Body)
		}
	}
	m.want(t, "GET", "/api/v3/profiles", "", 200, "["+answered+"]")
	must(t, m.cluster, store.OpJobEnd, store.JobEnd{ID: m.migration(t), Epoch: 1, To: model.JobDone})
	m.want(t, "POST", "/api/v3/profiles/p1/params/a/b", "2", 200, "2")
	m.cluster.noLead = true
	if w := m.want(t, "GET", "/readyz", "", 503, ""); w.Header().Get("Retry-After") != "1" {
		t.Errorf("an election is waited for %s s", w.Header().Get("Retry-After"))
	}
}

func TestAMigrationWritesWhileOthersWait(t *testing.T) {
	for write, body := range profileWrites() {
		t.Run(write, func(t *testing.T) {
			pass := newSecret()
			m := migrating(t, pass)
			method, path, _ := strings.Cut(write, " ")
			status := 200
			switch {
			case strings.HasSuffix(path, "gone"):
				status = 404
			case write == "POST /api/v3/profiles":
				status = 201
			}
			if w := m.do(method, path, body, as(pass)...); w.Code != status {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, status)
			}
			if fault := m.Store.Fault(); fault != nil {
				t.Error(fault)
			}
			if acts := m.acts(t, ""); len(acts) != 1 { // the profile that there is
				t.Errorf("what a migration writes is no act of a person: %+v", acts)
			}
		})
	}
}

func TestAPassComesInThePlaceOfAPasswordToo(t *testing.T) {
	pass := newSecret()
	m := migrating(t, pass)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("job:"+pass))
	if w := m.do("POST", "/api/v3/profiles/p1/params/a/b", "2", "Authorization", basic); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(m.logged.String(), "user=job:item-form") || strings.Contains(m.logged.String(), pass) {
		t.Errorf("logged: %s", m.logged)
	}
}

// S29: what an attempt writes that is not the one on record any more is refused.
func TestS29AnAttemptThatIsOverWritesNothing(t *testing.T) {
	pass, next := newSecret(), newSecret()
	m := migrating(t, pass)
	late := m.upgrader.passes[pass]
	m.take(t, next, 1)
	m.upgrader.passes[pass] = late // the member does not know yet
	for write, body := range profileWrites() {
		method, path, _ := strings.Cut(write, " ")
		w := m.do(method, path, body, as(pass)...)
		if checkShape(t, write, w.Result(), w.Body.Bytes()); w.Code != 409 || !strings.Contains(w.Body.String(), "another runner has taken the job") {
			t.Errorf("%s: got %d %s", write, w.Code, w.Body)
		}
	}
	m.want(t, "GET", "/api/v3/profiles", "", 200, "["+answered+"]")
	if w := m.do("POST", "/api/v3/profiles/p1/params/a/b", "2", as(next)...); w.Code != 200 {
		t.Errorf("the one on record: %d %s", w.Code, w.Body)
	}
	delete(m.upgrader.passes, next)
	if w := m.do("GET", "/api/v3/profiles", "", as(next)...); w.Code != 401 {
		t.Errorf("a pass that was given back: %d %s", w.Code, w.Body)
	}
}

func TestAPassIsGoodForProfilesAndNothingElse(t *testing.T) {
	pass := newSecret()
	m := migrating(t, pass)
	for _, r := range routes(t, m) {
		w := m.do(r.method, r.path(), "{", as(pass)...)
		may := r.pattern == "/api/v3/info" || strings.HasPrefix(r.pattern, "/api/v3/profiles") || slices.Contains(open, r.pattern)
		if may == (w.Code == 403) {
			t.Errorf("%s %s: %d %s", r.method, r.pattern, w.Code, w.Body)
		}
		if !may && r.method != "HEAD" && !strings.Contains(w.Body.String(), "the migration item-form may read") {
			t.Errorf("%s %s does not say why: %s", r.method, r.pattern, w.Body)
		}
	}
	m.upgrader.passes[pass] = model.Pass{Action: "item-form", Reads: true}
	for write, body := range profileWrites() {
		method, path, _ := strings.Cut(write, " ")
		if w := m.do(method, path, body, as(pass)...); w.Code != 403 || !strings.Contains(w.Body.String(), "may only read") {
			t.Errorf("%s: %d %s", write, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/api/v3/info", "/api/v3/profiles", "/api/v3/profiles/p1", "//api/v3/profiles/p1/params/a/b"} {
		if w := m.do("GET", path, "", as(pass)...); w.Code != 200 {
			t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A migration asks often: it must not have whoever comes from its address wait.
func TestAPassIsNoFailedLogin(t *testing.T) {
	pass := newSecret()
	m := migrating(t, pass)
	for range 3 * failuresAtOnce {
		if w := m.do("GET", "/api/v3/info", "", as(pass)...); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if m.cluster.reads != 0 || len(m.logins.throttle.debts) != 0 {
		t.Errorf("the cluster was asked %d times, %d addresses wait", m.cluster.reads, len(m.logins.throttle.debts))
	}
}

func TestAMigrationIsPausedAndPaced(t *testing.T) {
	m := readyMember(t)
	for what, body := range map[string]string{"pause": "", "resume": "", "pace": `{"rate":500}`} {
		j := m.jobOf(t, "POST", "/api/v3/jobs/j1/"+what, body, 200)
		if want := what + " j1 by admin"; j.ID != "j1" || !strings.HasPrefix(m.jobs.asked, want) {
			t.Errorf("%s: asked %q, answered %+v", what, m.jobs.asked, j)
		}
	}
	m.want(t, "POST", "/api/v3/jobs/j1/pace", `{"rate":500}`, 200, "")
	if m.jobs.asked != "pace j1 by admin: 500" {
		t.Errorf("asked %q", m.jobs.asked)
	}
	m.jobs.asked = ""
	for _, body := range []string{"", "{}", `{"rate":-1}`, `{"rate":1.5}`, `{"rate":"fast"}`, `{"rate":1,"speed":2}`, `{"rate":null}`} {
		m.want(t, "POST", "/api/v3/jobs/j1/pace", body, 400, "")
	}
	if m.jobs.asked != "" {
		t.Errorf("asked %q", m.jobs.asked)
	}
	m.want(t, "POST", "/api/v3/jobs/j1/pace", `{"rate":0}`, 200, "")
	m.jobs.err = model.Problemf(model.Conflict, "it is over").About("jobs", "j1")
	for _, what := range []string{"pause", "resume", "pace"} {
		m.want(t, "POST", "/api/v3/jobs/j1/"+what, `{"rate":1}`, 409, "")
	}
}

func TestProgressIsForThoseLoggedInAndItsNumbersForAll(t *testing.T) {
	m := migrating(t, newSecret())
	m.upgrader.progress = model.MigrationReport{Version: "1.1.0", Mode: model.ModeComplete, State: "failed", What: "a word to people",
		MigrationCount: model.MigrationCount{Done: 30, Total: 100, Percent: 30, Rate: 2.5, ETA: 28},
		Migrations:     []model.MigrationProgress{{Name: "item-form", Phase: model.Migrate, State: "failed", Job: "j1", Attempts: 3, Error: "the inside"}}}
	m.want(t, "GET", "/api/v3/system/upgrade/progress", "", 200,
		`{"version":"1.1.0","mode":"complete","state":"failed","what":"a word to people","done":30,"total":100,"percent":30,"rate":2.5,"eta":28,`+
			`"migrations":[{"name":"item-form","phase":"migrate","state":"failed","job":"j1","attempts":3,"error":"the inside","done":0,"total":0,"percent":0,"rate":0,"eta":0}]}`)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/upgradeprogress", nil))
	want := `{"status":"working","mode":"complete","state":"failed","done":30,"total":100,"percent":30,"rate":2.5,"eta":28}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("open: %d %s, want %s", w.Code, got, want)
	}
	m.upgrader.asked = 0
	for range 3 {
		m.want(t, "GET", "/upgradeprogress", "", 200, want)
	}
	if m.upgrader.asked != 0 {
		t.Errorf("it was made %d times more of one state", m.upgrader.asked)
	}
	m.upgrader.progress.Percent = 31
	must(t, m.cluster, store.OpProbe, store.Probe{})
	m.want(t, "GET", "/upgradeprogress", "", 200, strings.Replace(want, `"percent":30`, `"percent":31`, 1))
	m.upgrader.err = errors.New("a secret of the inside")
	must(t, m.cluster, store.OpProbe, store.Probe{})
	if got := m.want(t, "GET", "/upgradeprogress", "", 500, "").Body.String(); strings.Contains(got, "secret") {
		t.Errorf("it tells %s", got)
	}
}

func TestProgressNeverWaits(t *testing.T) {
	m := newMember(t)
	if w := m.want(t, "GET", "/upgradeprogress", "", 503, ""); w.Header().Get("Retry-After") == "" {
		t.Errorf("while it starts: %s", w.Body)
	}
	m.upgrader.progress = model.MigrationReport{State: "none", MigrationCount: model.MigrationCount{Percent: 100}, Migrations: []model.MigrationProgress{}}
	m.SetReady(m.deps())
	m.want(t, "GET", "/upgradeprogress", "", 200, `{"status":"none","mode":"","state":"none","done":0,"total":0,"percent":100,"rate":0,"eta":0}`)
	if m.cluster.reads != 0 {
		t.Error("the cluster was asked")
	}
	shapes, err := m.Shapes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at, kind := range map[string]string{"/upgradeprogress.percent": "number", "/upgradeprogress.status": "string",
		"/api/v3/system/upgrade/progress.state": "string", "/api/v3/system/upgrade/progress.eta": "number", "/api/v3/system/upgrade/progress.migrations": "list"} {
		if shapes[at] != kind {
			t.Errorf("%s is %q, not %q", at, shapes[at], kind)
		}
	}
}

// A job's command of another kind would stop every member.
func TestAMigrationProposesNothingButProfiles(t *testing.T) {
	v := &visit{pass: &model.Pass{Job: "j1", Epoch: 1, Action: "item-form"}}
	if _, err := v.command(store.OpTokenPut, store.TokenPut{}); model.KindOf(err) != model.Forbidden {
		t.Errorf("a token: %v", err)
	}
	c, err := v.command(store.OpParamSet, store.ParamSet{Profile: "p1", Key: "k", Value: json.Number("1")})
	if err != nil || c.Op != store.OpJobWrite || !strings.Contains(string(c.Body), `"op":"param.set"`) || !strings.Contains(string(c.Body), `"epoch":1`) {
		t.Errorf("a param: %s %s: %v", c.Op, c.Body, err)
	}
}

package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
	"github.com/theseusd/theseus/upgrader/jobs"
)

// alone is a cluster of one without raft: what is proposed is applied here.
type alone struct {
	store *store.Store

	mu      sync.Mutex // held for what follows
	index   uint64
	reads   int   // consistent reads
	noIndex error // what ReadIndex answers
	noLead  bool
	removed bool
	refuse  error // what everything else answers
	asked   []string
}

func (c *alone) Propose(ctx context.Context, cmd store.Command) (store.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if actor, some := cluster.ActorOf(ctx); some {
		cmd = cmd.GivenBy(actor)
	}
	if c.refuse != nil {
		return store.Answer{}, c.refuse
	}
	return c.apply(cmd.Encode()), nil
}

func (c *alone) apply(data []byte) store.Answer {
	c.index++
	return c.store.Apply([]store.Entry{{Index: c.index, Term: 1, Data: data}})[0]
}

func (c *alone) ReadIndex(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	return c.noIndex
}

func (c *alone) Leader() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noLead {
		return "", false
	}
	return "m1", true
}

func (c *alone) Removed() bool { return c.removed }

func (c *alone) ask(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, what)
	return c.refuse
}

func (c *alone) Peers(context.Context) ([]model.Peer, error) {
	return []model.Peer{{ConsensusID: "m1", Leader: true}}, nil
}
func (c *alone) Remove(_ context.Context, member string) error { return c.ask("remove " + member) }
func (c *alone) HandOver(_ context.Context, to string) error   { return c.ask("hand over to " + to) }
func (c *alone) NewJoinToken(_ context.Context, ttl time.Duration) (string, time.Time, error) {
	return "print.secret", time.Unix(0, 0).Add(ttl), c.ask("join token for " + ttl.String())
}
func (c *alone) Enrol(_ context.Context, r cluster.EnrolRequest) (cluster.EnrolAnswer, error) {
	return cluster.EnrolAnswer{ClusterID: "c1", Peers: []cluster.EnrolPeer{}}, c.ask("enrol " + r.ID + " with " + r.Token)
}

// leading is a member that leads for ever.
type leading struct{ *alone }

func (leading) Leading() bool               { return true }
func (leading) Leadership() <-chan struct{} { return nil }

// script is an upgrade that answers what a test says.
type script struct {
	mu      sync.Mutex // held for what follows
	profile *model.Profile
	came    upgrader.Outcome
	pending bool
	exec    upgrader.ExecAnswer
	err     error
	got     []byte // the last body
	by      string
	in      upgrader.Upload                                 // the last
	upload  func(ctx context.Context, body io.Reader) error // takes the place of reading an upload whole
	asked   int                                             // for the status
	issues  []string
	report  model.CheckReport

	verified model.VerifyReport
	plan     func(to string, known []string) (model.Plan, error)

	passes   map[string]model.Pass // by secret
	progress model.MigrationReport
}

func (s *script) Pass(secret string) (model.Pass, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.passes[secret]
	return p, ok
}

func (s *script) Progress() (model.MigrationReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.progress, s.err
}

func (s *script) CheckAll(context.Context) (model.CheckReport, error) {
	return s.report, s.err
}

func (s *script) Plan(to string, known []string) (model.Plan, error) {
	if s.plan != nil {
		return s.plan(to, known)
	}
	return model.Plan{Hops: []model.Hop{}}, s.err
}

func (s *script) Backup(_ context.Context, reason, by string) (model.Backup, error) {
	return model.Backup{Name: "manual-1.backup", By: by, Reason: reason}, s.err
}
func (s *script) Backups(context.Context) (model.BackupList, error) {
	return model.BackupList{Backups: []model.Backup{}, Silent: []string{"m2"}}, s.err
}
func (s *script) OpenBackup(_ context.Context, name string) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(name)), int64(len(name)), s.err
}
func (s *script) DropBackup(context.Context, string) error { return s.err }
func (s *script) Restore(_ context.Context, body io.Reader, by string) (r model.Restored, err error) {
	s.got, _ = io.ReadAll(body)
	s.by = by
	return r, s.err
}

func (s *script) VerifyAll(context.Context) (model.VerifyReport, error) { return s.verified, s.err }

func (s *script) Stage(ctx context.Context, in upgrader.Upload) (model.BlobInfo, upgrader.Outcome, error) {
	if s.upload != nil {
		return model.BlobInfo{}, 0, s.upload(ctx, in.Body)
	}
	raw, err := io.ReadAll(in.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.by, s.in = raw, in.By, in
	return model.BlobInfo{Path: "sha256:00", Size: int64(len(raw))}, s.came, errors.Join(err, s.err)
}

func (s *script) Inline(ctx context.Context, in upgrader.Upload) (model.BlobInfo, upgrader.Outcome, error) {
	return s.Stage(ctx, in)
}

func (s *script) Received(_ context.Context, digest string) (upgrader.Received, error) {
	return upgrader.Received{Path: "sha256:" + digest, Size: 3, Total: 5}, s.err
}

func (s *script) Start(_ context.Context, body []byte, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.by = body, by
	return s.err
}

func (s *script) Unstage(_ context.Context, by string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = by
	return s.pending, s.err
}

func (s *script) Cancel(_ context.Context, by string) error {
	s.by = by
	return s.err
}

func (s *script) Complete(_ context.Context, body []byte, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.by = body, by
	return s.err
}

func (s *script) Pause(_ context.Context, by string) error    { return s.steered("pause", by) }
func (s *script) Resume(_ context.Context, by string) error   { return s.steered("resume", by) }
func (s *script) Rollback(_ context.Context, by string) error { return s.steered("rollback", by) }

func (s *script) steered(how, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got, s.by = []byte(how), by
	return s.err
}

func (s *script) Issues() ([]string, error) { return s.issues, nil }

func (s *script) Features() ([]model.Feature, error) {
	return []model.Feature{{Name: "pause", Active: true}}, s.err
}

func (s *script) Exec() (upgrader.ExecAnswer, error) { return s.exec, s.err }

func (s *script) Status() (model.Profile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.profile == nil {
		return model.Profile{}, model.Problemf(model.NotFound, "nothing is staged").About("profiles", model.TrackingProfile)
	}
	return *s.profile, nil
}

// steered are the jobs of a runner, and keep what is asked of a migration.
type steered struct {
	*jobs.Runner
	asked string
	err   error
}

func (s *steered) Pause(_ context.Context, id, by string) (model.Job, error) {
	return s.ask("pause "+id+" by "+by, id)
}
func (s *steered) Resume(_ context.Context, id, by string) (model.Job, error) {
	return s.ask("resume "+id+" by "+by, id)
}
func (s *steered) Pace(_ context.Context, id, by string, rate int64) (model.Job, error) {
	return s.ask(fmt.Sprintf("pace %s by %s: %d", id, by, rate), id)
}
func (s *steered) ask(what, id string) (model.Job, error) {
	s.asked = what
	return model.Job{ID: id}, s.err
}

// member is an API on a real store, with user admin, password "secret".
type member struct {
	*API
	cluster  *alone
	upgrader *script
	jobs     *steered
	work     chan error // what the next attempt at the job "work" ends with
	logged   *bytes.Buffer
	basic    string
}

func newMember(t testing.TB) *member {
	return newMemberOf(t, model.Cluster{ID: "c1", Version: "1.0.0"})
}

// newMemberOf is newMember for another cluster.
func newMemberOf(t testing.TB, c model.Cluster) *member {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	m := &member{cluster: &alone{store: s}, upgrader: &script{}, logged: &bytes.Buffer{}, work: make(chan error)}
	m.jobs = &steered{Runner: jobs.New(jobs.Config{Store: s, Cluster: leading{m.cluster}, Self: model.Member{ID: "m1", Name: "n1", Boot: "b"},
		Actions: map[string]jobs.Action{"work": m.doWork},
		Carried: func(string) (c store.JobMigrate, known bool, err error) { return c, false, nil }, Log: newQuiet()})}
	log := slog.New(slog.NewTextHandler(&locked{w: m.logged}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.API = New(log)
	m.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:secret"))
	must(t, m.cluster, store.OpClusterInit, store.ClusterInit{
		Cluster: c,
		Admin:   model.User{Name: "admin", Password: HashPassword("secret"), Role: "admin"}})
	return m
}

// doWork says that it began, and ends as the test says.
func (m *member) doWork(ctx context.Context, a *jobs.Attempt) error {
	a.Log("it began")
	if err := a.Save(ctx, 1, 2, "half"); err != nil {
		return err
	}
	select {
	case err := <-m.work:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runJobs runs the jobs until the test ends.
func (m *member) runJobs(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.jobs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// give makes secret a token of the admin's.
func (m *member) give(t testing.TB, secret string) {
	t.Helper()
	must(t, m.cluster, store.OpTokenPut, store.TokenPut{Token: model.Token{Hash: tokenHash(secret), User: "admin",
		Expires: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}})
}

// newQuiet logs as a daemon does by default: no requests.
func newQuiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// readyMember is a member that is open and serves.
func readyMember(t testing.TB) *member {
	m := newMember(t)
	m.SetReady(m.deps())
	return m
}

func (m *member) deps() Deps {
	return Deps{Store: m.cluster.store, Cluster: m.cluster, Upgrader: m.upgrader, Jobs: m.jobs,
		Self: model.Member{ID: "m1", Name: "n1", API: "https://127.0.0.1:8092", Raft: "127.0.0.1:8093", Version: "1.0.0", Platform: "linux/amd64"}}
}

func must(t testing.TB, c *alone, op store.Op, body any) {
	t.Helper()
	answer, err := c.Propose(context.Background(), store.New(op, body))
	if err := errors.Join(err, answer.Err()); err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

// locked is a writer for many goroutines.
type locked struct {
	mu sync.Mutex // held for w
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// do sends one request, logged in, past the network.
func (m *member) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", m.basic)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

// want sends one request and checks the status and, unless it is "", the body.
func (m *member) want(t *testing.T, method, path, body string, status int, answer string) *httptest.ResponseRecorder {
	t.Helper()
	w := m.do(method, path, body)
	if w.Code != status {
		t.Fatalf("%s %s: got %d %s, want %d", method, path, w.Code, w.Body, status)
	}
	if got := strings.TrimSpace(w.Body.String()); answer != "" && got != answer {
		t.Fatalf("%s %s: got %s, want %s", method, path, got, answer)
	}
	checkShape(t, method+" "+path, w.Result(), w.Body.Bytes())
	return w
}

// checkShape checks what must be true of every answer.
func checkShape(t *testing.T, what string, r *http.Response, body []byte) {
	t.Helper()
	kind := r.Header.Get("Content-Type")
	if kind != "application/json" && kind != "application/yaml" && !(kind == textKind && r.StatusCode < 400) {
		t.Errorf("%s: content type %q", what, kind)
	}
	if got := r.Header.Get("Content-Length"); got != fmt.Sprint(len(body)) && r.Request == nil {
		t.Errorf("%s: Content-Length %q of %d bytes", what, got, len(body))
	}
	if r.StatusCode < 400 {
		return
	}
	var e model.Error
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Errorf("%s: %d %q is not an error of ours: %v", what, r.StatusCode, body, err)
		return
	}
	if e.Code != r.StatusCode || e.Type == "" || len(e.Messages) == 0 || e.Messages[0] == "" {
		t.Errorf("%s: %d %s says too little", what, r.StatusCode, body)
	}
}

// certificate is one of its own making for 127.0.0.1, and who trusts it.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// site is a listener, its certificate, and the server that is on it now.
type site struct {
	listener net.Listener
	tls      *tls.Config
	trust    *x509.CertPool
}

func newSite(t testing.TB) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conf, pool := certificate(t)
	return &site{listener: l, tls: conf, trust: pool}
}

// serve starts a server; it is shut down at the end of the test at the latest.
func (s *site) serve(t testing.TB, a *API, left ...net.Conn) *Server {
	t.Helper()
	srv, err := NewServer(s.listener, left, s.tls, a, a.log)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), <-ended); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return srv
}

// raw is a connection on which a test writes the bytes itself.
type raw struct {
	*tls.Conn
	in *bufio.Reader
}

func (s *site) dial() (*raw, error) { return s.dialShy(0) }

// dialShy is dial by a client that says nothing for so long.
func (s *site) dialShy(shy time.Duration) (*raw, error) {
	tcp, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	time.Sleep(shy)
	c := tls.Client(tcp, &tls.Config{RootCAs: s.trust, ServerName: "127.0.0.1", NextProtos: []string{"h2", "http/1.1"}})
	if err := c.Handshake(); err != nil {
		tcp.Close()
		return nil, err
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{Conn: c, in: bufio.NewReader(c)}, nil
}

func (s *site) mustDial(t testing.TB) *raw {
	t.Helper()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send writes text as it is.
func (c *raw) send(text string) error {
	_, err := io.WriteString(c.Conn, text)
	return err
}

// receive reads one answer and its body.
func (c *raw) receive(method string) (*http.Response, []byte, error) {
	r, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return r, body, err
}

func request(method, path, auth, more string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: t\r\nAuthorization: " + auth + "\r\n" + more
}

// eventually waits for a condition, ten seconds at most.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// The floors below are what the API asks for.
var (
	_ Cluster  = (*cluster.Node)(nil)
	_ Upgrader = (*upgrader.Upgrader)(nil)
)

package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// patienceInTests is how long a condition may take before a test gives up.
const patienceInTests = 30 * time.Second

// harness is a cluster in one process: real TLS, real stores, real files.
type harness struct {
	t       *testing.T
	members []*member
	log     *journal
}

// member is one of its members, running or not.
type member struct {
	t        *testing.T
	self     model.Member
	dir      string
	log      *slog.Logger
	listener net.Listener
	api      *httptest.Server

	store *store.Store
	keys  *Keys
	node  *Node // nil while it is stopped
}

// newCluster makes a cluster of n members, of which the first one leads. On the
// way out it checks that all running members hold the same records.
func newCluster(t *testing.T, n int) *harness {
	t.Helper()
	h := &harness{t: t, log: &journal{t: t}}
	t.Cleanup(h.log.show)
	first := h.add("n1")
	first.open(Config{Init: &store.ClusterInit{
		Cluster: model.Cluster{ID: "test", Version: "1.0.0"}, Admin: model.User{Name: "admin"}}})
	h.report(first) // the daemon does; joiners are reported by the leader that adds them
	for i := 1; i < n; i++ {
		h.join(fmt.Sprintf("n%d", i+1))
	}
	t.Cleanup(h.close)
	return h
}

// add makes a member that is not open yet.
func (h *harness) add(name string) *member {
	h.t.Helper()
	m := &member{t: h.t, dir: h.t.TempDir(),
		log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})).With("member", name)}
	m.listen(fmt.Sprintf("127.0.0.%d:0", len(h.members)+1))
	id, err := LoadIdentity(m.dir)
	must(h.t, err)
	m.self = model.Member{ID: id.ID, Incarnation: id.Incarnation, Name: name, API: "https://" + name + ":8092",
		Raft: m.listener.Addr().String(), Version: "1.0.0", Image: "sha256:00", Platform: "linux/amd64"}
	h.members = append(h.members, m)
	return m
}

// join adds a member to the cluster, through the member that is asked first.
func (h *harness) join(name string) *member {
	h.t.Helper()
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(h.t, err)
	m := h.add(name)
	m.open(Config{Join: &Join{URL: h.members[0].api.URL, Token: token}})
	return m
}

func (m *member) listen(address string) {
	m.t.Helper()
	l, err := net.Listen("tcp", address)
	must(m.t, err)
	m.listener = l
}

func (m *member) open(c Config) {
	m.t.Helper()
	must(m.t, m.tryOpen(c))
}

func (m *member) tryOpen(c Config) (err error) {
	m.t.Helper()
	if m.store, err = store.Open(m.dir, store.Options{Log: m.log}); err != nil {
		return err
	}
	if m.keys, err = OpenKeys(m.dir); err != nil {
		return err
	}
	c.Store, c.Keys, c.Dir, c.Self, c.Log = m.store, m.keys, m.dir, m.self, m.log
	c.Hosts, c.Listener = []string{"127.0.0.1", "localhost"}, m.listener
	ctx, cancel := context.WithTimeout(context.Background(), patienceInTests)
	defer cancel()
	if m.node, err = Open(ctx, c); err != nil {
		return errors.Join(err, m.store.Close())
	}
	m.serveAPI()
	return nil
}

// serveAPI answers enrolments, as the daemon's API does.
func (m *member) serveAPI() {
	if m.api != nil {
		return
	}
	m.api = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q EnrolRequest
		status := http.StatusOK
		err := json.NewDecoder(r.Body).Decode(&q)
		var answer any
		if err == nil {
			answer, err = m.node.Enrol(r.Context(), q)
		}
		if err != nil {
			status, answer = http.StatusConflict, model.Error{Messages: []string{err.Error()}}
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	}))
	m.api.TLS = &tls.Config{GetCertificate: m.keys.ServerCertificate}
	m.api.Config.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	m.api.StartTLS()
	// httptest adds a certificate of its own, which crypto/tls would prefer.
	m.api.TLS.Certificates = nil
}

// stop closes a member as a re-exec does: its listener stays open.
func (m *member) stop() {
	m.t.Helper()
	must(m.t, m.node.Park())
	m.shut()
}

// kill closes a member, its listener too.
func (m *member) kill() {
	m.t.Helper()
	m.shut()
	m.listener = nil
}

func (m *member) shut() {
	m.t.Helper()
	must(m.t, m.node.Close())
	must(m.t, m.store.Close())
	m.node = nil
}

// start opens a stopped or killed member again.
func (m *member) start(c Config) {
	m.t.Helper()
	if m.listener == nil {
		m.listen(m.self.Raft)
	}
	must(m.t, m.listener.(*net.TCPListener).SetDeadline(time.Time{}))
	m.open(c)
}

func (h *harness) close() {
	h.t.Helper()
	if !h.t.Failed() {
		h.sameRecords()
	}
	for _, m := range h.members {
		if m.api != nil {
			m.api.Close()
		}
		if m.node != nil {
			m.node.Close()
			m.store.Close()
		}
		if m.listener != nil {
			m.listener.Close()
		}
	}
}

// sameRecords waits until all running members are at one index, and compares
// their records there.
func (h *harness) sameRecords() {
	h.t.Helper()
	for _, m := range h.running() {
		must(h.t, m.node.ReadIndex(h.ctx()))
	}
	eventually(h.t, "the members hold the same records", func() error {
		seen := map[string]string{}
		for _, m := range h.running() {
			must(h.t, m.store.View(func(v *store.View) error {
				digest, err := v.Digest()
				seen[fmt.Sprint(v.Index())+" "+digest] = m.self.Name
				return err
			}))
		}
		if len(seen) > 1 {
			return fmt.Errorf("index and digest: %v", seen)
		}
		return nil
	})
}

// running are the members that run and that the leader knows; without a leader,
// all that run.
func (h *harness) running() (all []*member) {
	leader := h.leading()
	for _, m := range h.members {
		if m.node != nil && m.store.Fault() == nil && (leader == nil || slices.Contains(leader.node.Voters(), m.self.ID)) {
			all = append(all, m)
		}
	}
	return all
}

func (h *harness) leading() *member {
	for _, m := range h.members {
		if m.node != nil && m.node.Leading() {
			return m
		}
	}
	return nil
}

// leader waits for the member that leads.
func (h *harness) leader() (leader *member) {
	h.t.Helper()
	eventually(h.t, "a member leads", func() error {
		if leader = h.leading(); leader == nil {
			return errors.New("none does")
		}
		return nil
	})
	return leader
}

func (h *harness) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patienceInTests)
	h.t.Cleanup(cancel)
	return ctx
}

// report has a member report itself, as the daemon does at its start.
func (h *harness) report(m *member) {
	h.t.Helper()
	_, err := m.node.Propose(h.ctx(), store.New(store.OpMemberReport, store.MemberReport{Member: m.self}))
	must(h.t, err)
}

// write sets a profile through a member and fails the test if that fails.
func (m *member) write(name string) store.Answer {
	m.t.Helper()
	a, err := m.node.Propose(context.Background(), createProfile(name))
	must(m.t, err)
	must(m.t, a.Err())
	return a
}

func createProfile(name string) store.Command {
	return store.New(store.OpProfileCreate, store.ProfileCreate{Profile: model.Profile{Name: name}})
}

func (m *member) profiles() (names []string) {
	m.t.Helper()
	must(m.t, m.store.View(func(v *store.View) error {
		all, err := v.Profiles()
		for _, p := range all {
			names = append(names, p.Name)
		}
		return err
	}))
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition; the last reason why not is the failure.
func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patienceInTests); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain until %s: %v", what, err)
}

// journal keeps the log and shows it when the test has failed.
type journal struct {
	t   *testing.T
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// count counts the lines that hold all of words.
func (j *journal) count(words ...string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.buf.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

func (j *journal) show() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if lines := j.buf.Bytes(); j.t.Failed() {
		j.t.Logf("the members' log, its end:\n%s", lines[max(0, len(lines)-20000):])
	}
}

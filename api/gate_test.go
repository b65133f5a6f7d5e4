package api

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func TestARequestWaitsUntilTheStoreIsOpen(t *testing.T) {
	m := newMember(t)
	m.want(t, "GET", "/healthz", "", 200, `{"status":"ok"}`)
	m.want(t, "GET", "/readyz", "", 503, "")
	early := make(chan int)
	go func() { early <- m.do("GET", "/api/v3/info", "").Code }()
	select {
	case code := <-early:
		t.Fatalf("answered %d before the store was open", code)
	default:
	}
	m.SetReady(m.deps())
	if code := <-early; code != 200 {
		t.Errorf("answered %d", code)
	}
	m.want(t, "GET", "/readyz", "", 200, `{"status":"ready"}`)
}

func TestAWaitingRequestEndsWithItsClient(t *testing.T) {
	m := newMember(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/api/v3/info", nil).WithContext(ctx))
	if w.Code != 503 {
		t.Errorf("answered %d", w.Code)
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	m := readyMember(t)
	m.want(t, "GET", "/readyz?verbose", "", 200, `{"status":"ready","checks":["serving: ok","started: ok","store: ok","leader: ok"]}`)
	m.cluster.noLead = true
	w := m.want(t, "GET", "/readyz", "", 503, "")
	if !strings.Contains(w.Body.String(), `"Messages":["no member leads"]`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("%s", w.Body)
	}
	w = m.want(t, "GET", "/readyz?verbose", "", 503, "")
	if !strings.Contains(w.Body.String(), `"serving: ok","started: ok","store: ok","leader: no member leads"`) {
		t.Errorf("%s", w.Body)
	}
	m.cluster.removed = true
	if w = m.want(t, "GET", "/readyz", "", 503, ""); !strings.Contains(w.Body.String(), "this member was removed from the cluster") {
		t.Errorf("%s", w.Body)
	}
}

func TestAReadSaysHowNewItIs(t *testing.T) {
	m := readyMember(t)
	before := m.want(t, "GET", "/api/v3/profiles", "", 200, "").Header().Get("X-Theseus-Index")
	wrote := m.want(t, "POST", "/api/v3/profiles", sent, 201, "").Header().Get("X-Theseus-Index")
	after := m.want(t, "GET", "/api/v3/profiles", "", 200, "").Header().Get("X-Theseus-Index")
	if before != "1" || wrote != "2" || after != "2" {
		t.Errorf("%s, %s, %s", before, wrote, after)
	}
}

func TestAConsistentReadAsksTheClusterFirst(t *testing.T) {
	m := readyMember(t)
	for query, reads := range map[string]int{"": 0, "?consistent=false": 0, "?consistent=true": 1} {
		m.cluster.reads = 0
		m.want(t, "GET", "/api/v3/profiles"+query, "", 200, "")
		if m.cluster.reads != reads {
			t.Errorf("%q: %d consistent reads", query, m.cluster.reads)
		}
	}
	m.cluster.noIndex = context.DeadlineExceeded
	m.want(t, "GET", "/api/v3/profiles?consistent=true", "", 503, "")
	m.cluster.noIndex = model.Problemf(model.Unavailable, "no leader")
	m.want(t, "GET", "/api/v3/system/upgrade/status?consistent=true", "", 503, "")
}

// S11: a member whose store has stopped says so on all but what helps to mend it.
func TestS11AStoppedMemberSaysWhyOnAllButItsVitalRoutes(t *testing.T) {
	m := readyMember(t)
	m.upgrader.profile = &model.Profile{Params: map[string]any{"status": "staged"}}
	m.cluster.apply([]byte(`{"op":"from.the.future","id":"1","at":"","body":{}}`))
	if m.Store.Fault() == nil {
		t.Fatal("the store goes on")
	}
	m.want(t, "GET", "/readyz", "", 503, "")
	for _, path := range []string{"/healthz", "/api/v3/info", "/api/v3/system/consensus/peers", "/api/v3/system/upgrade/status"} {
		m.want(t, "GET", path, "", 200, "")
	}
	if w := m.want(t, "GET", "/api/v3/info", "", 200, ""); !strings.Contains(w.Body.String(), "from.the.future") {
		t.Errorf("info hides it: %s", w.Body)
	}
	for _, r := range routes(t, m) {
		w := m.do(r.method, r.path(), "{}")
		if w.Code == 503 && r.method != "HEAD" && !strings.Contains(w.Body.String(), "from.the.future") {
			t.Errorf("%s %s hides the reason: %s", r.method, r.pattern, w.Body)
		}
		vital := slices.Contains(strings.Fields("/healthz /openapi.yaml /api/v3/info /api/v3/system/consensus/peers /api/v3/system/upgrade/status"), r.pattern)
		if vital != (w.Code == 200) {
			t.Errorf("%s %s: %d", r.method, r.pattern, w.Code)
		}
	}
	if p := problemOf(&store.StoppedError{Index: 7, Reason: "x"}); p == nil || p.Kind != model.Unavailable {
		t.Errorf("a stopped store below is %v", p)
	}
}

func TestAnAnswerOfTheStoreIsAConflict(t *testing.T) {
	for err, kind := range map[error]model.Kind{store.ErrConflict: model.Conflict, store.ErrGate: model.Conflict,
		store.ErrNotFound: model.NotFound, context.Canceled: model.Unavailable} {
		if p := problemOf(errors.Join(errors.New("propose"), err)); p == nil || p.Kind != kind {
			t.Errorf("%v: %v", err, p)
		}
	}
	if p := problemOf(strconv.ErrRange); p != nil {
		t.Errorf("an inner error is shown: %v", p)
	}
}

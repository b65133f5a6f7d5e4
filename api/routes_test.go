package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/theseusd/theseus/model"
)

// open routes need no login.
var open = []string{"/healthz", "/readyz", "/openapi.yaml", "/upgradeprogress", "/api/v3/system/consensus/enroll"}

type route struct{ method, pattern string }

// path is the route with something in the place of its variables.
func (r route) path() string {
	return strings.NewReplacer("{name}", "nosuch", "{id}", "nosuch", "*", "a/key").Replace(r.pattern)
}

func routes(t *testing.T, m *member) (all []route) {
	t.Helper()
	err := chi.Walk(m.API.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		all = append(all, route{method, pattern})
		return nil
	})
	if err != nil || len(all) < 30 {
		t.Fatalf("%d routes, %v", len(all), err)
	}
	return all
}

func TestEveryRouteRefusesInOneShape(t *testing.T) {
	m := readyMember(t)
	m.cluster.refuse = errors.New("a secret of the inside")
	m.upgrader.err = errors.New("a secret of the inside")
	stale := "Bearer " + newSecret()
	for _, r := range routes(t, m) {
		for name, try := range map[string]struct{ auth, body, path string }{
			"no login":       {"", "{}", r.path()},
			"bad login":      {"Basic Zm9vOmJhcg==", "{}", r.path()},
			"no such scheme": {"Digest x", "{}", r.path()},
			"no token":       {"Bearer x", "{}", r.path()},
			"stale token":    {stale, "{}", r.path()},
			"not JSON":       {m.basic, "{", r.path()},
			"two values":     {m.basic, "{} {}", r.path()},
			"another type":   {m.basic, `[1]`, r.path()},
			"unknown field":  {m.basic, `{"nonsense":1}`, r.path()},
			"no body":        {m.basic, "", r.path()},
			"large body":     {m.basic, `"` + strings.Repeat("x", bodyLimit) + `"`, r.path()},
			"bad consistent": {m.basic, "{}", r.path() + "?consistent=perhaps"},
			"bad query":      {m.basic, "{}", r.path() + "?ttl=-1&exclude=x&%zz"},
		} {
			clear(m.logins.throttle.debts)
			w := httptest.NewRecorder()
			q := httptest.NewRequest(r.method, try.path, strings.NewReader(try.body))
			q.Header.Set("Authorization", try.auth)
			m.ServeHTTP(w, q)
			what := r.method + " " + r.pattern + ", " + name
			checkRefusal(t, what, r.method, w)
			login := try.auth == m.basic || slices.Contains(open, r.pattern)
			if login == (w.Code == http.StatusUnauthorized) {
				t.Errorf("%s: %d", what, w.Code)
			}
		}
	}
}

func checkRefusal(t *testing.T, what, method string, w *httptest.ResponseRecorder) {
	t.Helper()
	if strings.Contains(w.Body.String(), "secret of the inside") {
		t.Errorf("%s: tells %s", what, w.Body)
	}
	if method == http.MethodHead {
		if w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
			t.Errorf("%s: %d bytes, Content-Length %q", what, w.Body.Len(), w.Header().Get("Content-Length"))
		}
		return
	}
	checkShape(t, what, w.Result(), w.Body.Bytes())
}

func TestAnUnknownRouteIsADigitalRebarError(t *testing.T) {
	m := readyMember(t)
	m.want(t, "GET", "/api/v3/machines", "", 404, `{"Model":"machines","Key":"","Type":"GET","Messages":["Not Found"],"Code":404}`)
	m.want(t, "GET", "/", "", 404, "")
	m.want(t, "GET", "/api/v3/system/upgrade/stage/x", "", 404, "")
}

func TestAnotherMethodNamesThoseThatAreAllowed(t *testing.T) {
	m := readyMember(t)
	w := m.want(t, "PATCH", "/api/v3/profiles/p1", "[]", 405, "")
	if got := w.Header().Get("Allow"); got != "GET, HEAD, PUT, DELETE" {
		t.Errorf("Allow: %s", got)
	}
	if got := m.want(t, "PUT", "/api/v3/profiles", "[]", 405, "").Header().Get("Allow"); got != "GET, HEAD, POST, PATCH" {
		t.Errorf("Allow: %s", got)
	}
	for _, r := range routes(t, m) {
		for _, method := range []string{"PATCH", "OPTIONS", "TRACE"} {
			if method == "PATCH" && r.pattern == "/api/v3/profiles" {
				continue // the one route that has it
			}
			m.want(t, method, r.path(), "", 405, "")
		}
	}
}

func TestAPanicIsLoggedAndNotShown(t *testing.T) {
	m := readyMember(t)
	m.API.routes.Get("/panic", m.answer(func(http.Header, *http.Request) (int, any, error) { panic("the inside") }))
	w := m.want(t, "GET", "/panic", "", 500, "")
	if strings.Contains(w.Body.String(), "inside") {
		t.Errorf("shown: %s", w.Body)
	}
	if log := m.logged.String(); !strings.Contains(log, "panic: the inside") || !strings.Contains(log, "routes_test.go") ||
		!strings.Contains(log, w.Header().Get("X-Request-Id")) {
		t.Errorf("logged: %s", log)
	}
}

func TestWhatHasNoJSONIsAnInternalError(t *testing.T) {
	m := readyMember(t)
	m.API.routes.Get("/chan", m.answer(func(http.Header, *http.Request) (int, any, error) { return 200, make(chan int), nil }))
	m.want(t, "GET", "/chan", "", 500, "")
}

func TestAKindOfProblemHasOneStatus(t *testing.T) {
	want := map[model.Kind]int{model.Malformed: 400, model.Unauthorized: 401, model.Forbidden: 403, model.NotFound: 404,
		model.Conflict: 409, model.TooLarge: 413, model.Refused: 422, model.Unavailable: 503, "": 500}
	for kind, status := range want {
		if got := statusOf(kind); got != status {
			t.Errorf("%s: %d, want %d", kind, got, status)
		}
	}
}

func TestTheDescriptionNamesEveryRouteAndNoOther(t *testing.T) {
	m := readyMember(t)
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := yaml.Unmarshal(m.want(t, "GET", "/openapi.yaml", "", 200, "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, methods := range doc.Paths {
		for method := range methods {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	for _, r := range routes(t, m) {
		if r.method != http.MethodHead {
			served = append(served, r.method+" "+strings.Replace(r.pattern, "*", "{key}", 1))
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("served -, described +:\n%s", diff)
	}
}

func TestASecondSlashAfterTheEndpointDoesNoHarm(t *testing.T) {
	readyMember(t).want(t, "GET", "//api/v3/system/consensus/id", "", 200, `"m1"`)
}

func TestAnotherSiteCannotMakeABrowserWrite(t *testing.T) {
	m := readyMember(t)
	w := m.do("POST", "/api/v3/system/upgrade/run", "", "Sec-Fetch-Site", "cross-site")
	checkShape(t, "cross-site", w.Result(), w.Body.Bytes())
	if w.Code != 403 || m.upgrader.by != "" {
		t.Errorf("got %d, started by %q", w.Code, m.upgrader.by)
	}
}

func TestARequestIDGoesRoundUnlessItIsUnfitForALog(t *testing.T) {
	m := readyMember(t)
	for sent, back := range map[string]bool{"abc-1.2_Z": true, "a b": false, "a\nb": false, strings.Repeat("x", 65): false, "": false} {
		got := m.do("GET", "/healthz", "", "X-Request-Id", sent).Header().Get("X-Request-Id")
		if (got == sent) != back || got == "" {
			t.Errorf("sent %q, got %q", sent, got)
		}
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	m := readyMember(t)
	var answer struct{ Token string }
	w := m.want(t, "GET", "/api/v3/users/admin/token?ttl=60", "", 200, "")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	m.do("GET", "/api/v3/info", "", "Authorization", "Bearer "+answer.Token)
	m.do("POST", "/api/v3/system/consensus/enroll", `{"Token":"print.joinsecret"}`)
	m.do("POST", "/api/v3/system/consensus/enroll", `{"Token":"print.joinsecret","nonsense":1}`)
	m.do("POST", "/api/v3/system/consensus/tokens", "")
	log := m.logged.String()
	for _, secret := range []string{answer.Token, "print.secret", "joinsecret", "admin:secret", strings.TrimPrefix(m.basic, "Basic "), "ttl=60"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if !strings.Contains(log, "path=/api/v3/info") || !strings.Contains(log, "user=admin") {
		t.Errorf("no access log: %s", log)
	}
}

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func TestAPasswordFitsItsHashOnly(t *testing.T) {
	phc := HashPassword("secret")
	if other := HashPassword("secret"); other == phc {
		t.Errorf("two hashes are the same: no salt")
	}
	for password, want := range map[string]bool{"secret": true, "Secret": false, "": false, "secret ": false} {
		if got, err := passwordFits(phc, password); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
	if fits, err := passwordFits(nobody(), ""); fits || err != nil {
		t.Errorf("nobody: %v, %v", fits, err)
	}
}

func TestAHashThatIsNotOursIsAnError(t *testing.T) {
	good := HashPassword("x")
	for _, phc := range []string{"", "secret", "$2b$10$abc", strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=19456", "m=99999999", 1), strings.Replace(good, "t=2", "t=0", 1),
		strings.Replace(good, "p=1", "p=x", 1), good[:len(good)-40]} {
		if fits, err := passwordFits(phc, "x"); fits || err == nil {
			t.Errorf("%q: %v, %v", phc, fits, err)
		}
	}
}

func (m *member) token(t *testing.T, query string) string {
	t.Helper()
	var answer struct {
		Token string
		Info  model.Info
	}
	w := m.want(t, "GET", "/api/v3/users/admin/token"+query, "", 200, "")
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Token == "" || answer.Info.ID != "m1" {
		t.Fatalf("%s, %v", w.Body, err)
	}
	return answer.Token
}

func (m *member) status(path, auth string) int {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Authorization", auth)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Code
}

func TestATokenLogsInAndGetsTheNextToken(t *testing.T) {
	m := readyMember(t)
	first := m.token(t, "")
	m.basic = "Bearer " + first
	m.basic = "bearer " + m.token(t, "?ttl=7200")
	m.want(t, "GET", "/api/v3/info", "", 200, "")
	raw, err := json.Marshal(m.records(t))
	if err != nil || strings.Contains(string(raw), first) {
		t.Errorf("the records hold the token itself (%v)", err)
	}
}

// records are the tokens that a test gave out.
func (m *member) records(t *testing.T) (all []model.Token) {
	t.Helper()
	for _, v := range m.logins.tokens {
		err := m.Store.View(func(s *store.View) error {
			r, err := s.Token(v.token.Hash)
			all = append(all, r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("no token was looked up")
	}
	return all
}

func TestInfoRefusesABadToken(t *testing.T) {
	m := readyMember(t)
	past := model.Token{Hash: tokenHash(strings.Repeat("A", 43)), User: "admin", Expires: "2001-01-01T00:00:00Z"}
	join := model.Token{Hash: tokenHash(strings.Repeat("E", 43)), User: "admin", Join: true, Expires: "2999-01-01T00:00:00Z"}
	gone := model.Token{Hash: tokenHash(strings.Repeat("I", 43)), User: "nobody", Expires: "2999-01-01T00:00:00Z"}
	for _, token := range []model.Token{past, join, gone} {
		must(t, m.cluster, store.OpTokenPut, store.TokenPut{Token: token})
	}
	for name, auth := range map[string]string{
		"none": "", "empty": "Bearer ", "nonsense": "Bearer x y", "unknown": "Bearer " + newSecret(),
		"expired": "Bearer " + strings.Repeat("A", 43), "for joining": "Bearer " + strings.Repeat("E", 43),
		"of a user who is gone": "Bearer " + strings.Repeat("I", 43),
	} {
		if got := m.status("/api/v3/info", auth); got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestATokenThatIsNotHereYetIsWaitedFor(t *testing.T) {
	m := readyMember(t)
	m.status("/api/v3/info", "Bearer "+newSecret())
	if m.cluster.reads != 1 {
		t.Errorf("an unknown token was looked for %d times", m.cluster.reads)
	}
	m.cluster.noIndex = errors.New("no leader")
	if got := m.status("/api/v3/info", "Bearer "+newSecret()); got != 503 {
		t.Errorf("a token that cannot be looked for: %d", got)
	}
}

func TestAnExpiredTokenIsRefusedThoughItIsRemembered(t *testing.T) {
	m := readyMember(t)
	secret := newSecret()
	must(t, m.cluster, store.OpTokenPut, store.TokenPut{Token: model.Token{Hash: tokenHash(secret), User: "admin",
		Expires: time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339)}})
	if got := m.status("/api/v3/info", "Bearer "+secret); got != 200 {
		t.Fatalf("before it expires: %d", got)
	}
	eventually(t, "the token to expire", func() bool { return m.status("/api/v3/info", "Bearer "+secret) == 401 })
}

func TestATokenIsGivenToItsOwnUserOnly(t *testing.T) {
	m := readyMember(t)
	m.want(t, "GET", "/api/v3/users/root/token", "", 403, "")
	if w := m.do("HEAD", "/api/v3/users/admin/token", ""); w.Code != 405 {
		t.Errorf("HEAD makes a token: %d", w.Code)
	}
}

func TestATokensLifeIsBounded(t *testing.T) {
	m := readyMember(t)
	for query, status := range map[string]int{"?ttl=1": 200, "?ttl=2592000": 200, "?ttl=2592001": 400, "?ttl=0": 400,
		"?ttl=-1": 400, "?ttl=8h": 400, "?ttl=99999999999999999999": 400, "?ttl=60&scope=profiles": 422} {
		m.want(t, "GET", "/api/v3/users/admin/token"+query, "", status, "")
	}
}

func TestLoginsThatFailAreThrottledByAddress(t *testing.T) {
	m := readyMember(t)
	if got := m.status("/api/v3/info", m.basic); got != 200 {
		t.Fatalf("good login: %d", got)
	}
	throttled := false
	for i := 0; i < failuresAtOnce+5 && !throttled; i++ {
		w := m.do("GET", "/api/v3/info", "", "Authorization", "Basic YWRtaW46d3Jvbmc=")
		throttled = w.Code == 429 && w.Header().Get("Retry-After") != ""
		if !throttled && w.Code != 401 {
			t.Fatalf("bad login %d: %d %s", i, w.Code, w.Body)
		}
		checkShape(t, fmt.Sprint("bad login ", i), w.Result(), w.Body.Bytes())
	}
	if !throttled {
		t.Errorf("guessing is not throttled")
	}
	if got := m.status("/api/v3/info", m.basic); got != 200 {
		t.Errorf("who logged in before is locked out: %d", got)
	}
}

func TestFailedLoginsAreForgivenWithTime(t *testing.T) {
	th := &newLogins().throttle
	now := time.Now()
	for range failuresAtOnce {
		if wait := th.wait("192.0.2.1", now); wait > 0 {
			t.Fatalf("wait %s too early", wait)
		}
		th.failed("192.0.2.1", now)
	}
	if th.wait("192.0.2.1", now) <= 0 || th.wait("192.0.2.2", now) > 0 {
		t.Errorf("the address is not held, or another one is")
	}
	if wait := th.wait("192.0.2.1", now.Add(failureForgiven)); wait > 0 {
		t.Errorf("not forgiven: %s", wait)
	}
	th.failed("2001:db8::1", now)
	for range failuresAtOnce {
		th.failed("2001:db8::2", now)
	}
	if th.wait("2001:db8::3", now) <= 0 {
		t.Errorf("an IPv6 network counts as many addresses")
	}
	for i := range 3 * addressesKept {
		th.failed(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if len(th.debts) > addressesKept {
		t.Errorf("%d addresses are kept", len(th.debts))
	}
}

func TestANewPasswordHoldsAtOnce(t *testing.T) {
	l := newLogins()
	pair := l.pair("admin", "secret", "hash one")
	l.remember(pair, time.Now())
	if !l.verified(pair, time.Now()) || l.verified(pair, time.Now().Add(2*pairLife)) {
		t.Errorf("not remembered, or for ever")
	}
	for _, other := range [][32]byte{l.pair("admin", "secret", "hash two"), l.pair("admin", "other", "hash one"),
		l.pair("admins", "ecret", "hash one"), newLogins().pair("admin", "secret", "hash one")} {
		if l.verified(other, time.Now()) {
			t.Errorf("another pair passes")
		}
	}
}

func TestExpiredTokensAreClearedOutNowAndThen(t *testing.T) {
	m := readyMember(t)
	old := model.Token{Hash: "old", User: "admin", Expires: "2001-01-01T00:00:00Z"}
	must(t, m.cluster, store.OpTokenPut, store.TokenPut{Token: old})
	m.token(t, "")
	err := m.Store.View(func(v *store.View) error { _, err := v.Token("old"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the expired token: %v", err)
	}
}

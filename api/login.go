package api

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	pairLife  = 5 * time.Minute // a verified password is not hashed again for so long
	loginKept = 1024            // verified pairs, and tokens, kept in memory
	hashers   = 2               // passwords hashed at once: each takes a core and 19 MiB
)

// logins is what this process remembers of logins. Everything in it can be
// found out again.
type logins struct {
	key      [32]byte // of the HMAC; this process's own
	throttle throttle
	hashing  chan struct{}

	mu     sync.Mutex // held for what follows
	pairs  map[[sha256.Size]byte]time.Time
	tokens map[string]verifiedToken
	pruned time.Time // when this process last had expired tokens cleared out
}

func newLogins() *logins {
	l := &logins{hashing: make(chan struct{}, hashers), pairs: map[[sha256.Size]byte]time.Time{}, tokens: map[string]verifiedToken{}}
	l.throttle.debts = map[netip.Prefix]time.Time{}
	rand.Read(l.key[:]) // never fails, says crypto/rand
	return l
}

// withLogin asks who it is: a password or a token (Basic), or a token (Bearer).
func (a *API) withLogin(next handler) handler {
	return func(h http.Header, r *http.Request) (int, any, error) {
		v := visitOf(r)
		if err := a.logIn(r, v); err != nil {
			return 0, nil, err
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && v.pass == nil {
			r = a.acting(r, v.user)
		}
		return next(h, r)
	}
}

// logIn finds out who visits. A pass is asked for first: it is in memory, and
// must not count as a token that nobody knows.
func (a *API) logIn(r *http.Request, v *visit) (err error) {
	if pass := a.passOf(r); pass != nil {
		v.user, v.pass = "job:"+pass.Action, pass
		return withPass(*pass, r)
	}
	v.user, err = a.whoIs(r)
	return err
}

func (a *API) whoIs(r *http.Request) (user string, err error) {
	if inside(r.Context()) {
		return "theseusd", nil
	}
	if name, password, ok := r.BasicAuth(); ok {
		return a.byBasic(r.Context(), remoteHost(r), name, password)
	}
	if token, ok := bearer(r); ok {
		return a.byToken(r.Context(), remoteHost(r), token)
	}
	return "", unauthorized("log in with a user and password, or with a token")
}

// bearer is the token that came as one.
func bearer(r *http.Request) (token string, ok bool) {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(kind, "Bearer")
}

func unauthorized(message string) error {
	return &model.Problem{Kind: model.Unauthorized, Messages: []string{message}}
}

// byBasic takes a password, or one of the user's tokens in its place, as Docker
// Trusted Registry does.
func (a *API) byBasic(ctx context.Context, host, name, secret string) (string, error) {
	if !tokenShaped(secret) {
		return a.byPassword(ctx, host, name, secret)
	}
	if _, err := a.tokenAt(tokenHash(secret)); err != nil {
		return a.byPassword(ctx, host, name, secret)
	}
	user, err := a.byToken(ctx, host, secret)
	if err == nil && user != name {
		return "", unauthorized("bad credentials")
	}
	return user, err
}

// byPassword checks a user and password. The record is read each time, so that
// a new password holds at once; what is remembered is bound to the hash in it.
func (a *API) byPassword(ctx context.Context, host, name, password string) (string, error) {
	phc := nobody()
	err := a.Store.View(func(v *store.View) error {
		u, err := v.User(name)
		if err == nil {
			phc = u.Password
		}
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	known := err == nil
	pair := a.logins.pair(name, password, phc)
	if known && a.logins.verified(pair, time.Now()) {
		return name, nil
	}
	fits, err := a.hashOnce(ctx, host, pair, phc, password)
	if err != nil {
		return "", err
	}
	if !fits || !known {
		a.logins.throttle.failed(host, time.Now())
		return "", unauthorized("bad credentials")
	}
	a.logins.remember(pair, time.Now())
	return name, nil
}

// hashOnce verifies a password, few at a time; whoever waited looks again first.
func (a *API) hashOnce(ctx context.Context, host string, pair [sha256.Size]byte, phc, password string) (bool, error) {
	select {
	case a.logins.hashing <- struct{}{}:
		defer func() { <-a.logins.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	now := time.Now()
	if a.logins.verified(pair, now) {
		return true, nil
	}
	if wait := a.logins.throttle.wait(host, now); wait > 0 {
		return false, &throttled{wait: wait}
	}
	return passwordFits(phc, password)
}

// pair names a user, a password and the hash it was checked against, without
// keeping any of them.
func (l *logins) pair(name, password, phc string) [sha256.Size]byte {
	m := hmac.New(sha256.New, l.key[:])
	for _, part := range []string{name, password, phc} {
		sum := sha256.Sum256([]byte(part))
		m.Write(sum[:])
	}
	return [sha256.Size]byte(m.Sum(nil))
}

func (l *logins) verified(pair [sha256.Size]byte, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.pairs[pair])
}

func (l *logins) remember(pair [sha256.Size]byte, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pairs) >= loginKept {
		clear(l.pairs)
	}
	l.pairs[pair] = now.Add(pairLife)
}

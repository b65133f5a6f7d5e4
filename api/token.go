package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	tokenLife    = 8 * time.Hour
	tokenLongest = 30 * 24 * time.Hour
	tokenSize    = 32              // bytes of chance in a token
	lookLimit    = 2 * time.Second // for a look whether others know a token
)

// verifiedToken is a token as it was found at one index of the store.
type verifiedToken struct {
	token model.Token
	index uint64
}

// byToken finds the user of a token. A token that another member has just given
// out may not be applied here yet, so one that is unknown is looked for again
// once this member is up to date.
func (a *API) byToken(ctx context.Context, host, secret string) (string, error) {
	if !tokenShaped(secret) {
		return "", badToken()
	}
	hash := tokenHash(secret)
	t, err := a.tokenAt(hash)
	if errors.Is(err, store.ErrNotFound) && a.logins.throttle.wait(host, time.Now()) == 0 {
		a.logins.throttle.failed(host, time.Now())
		ctx, cancel := context.WithTimeout(ctx, lookLimit)
		defer cancel()
		if err := a.Cluster.ReadIndex(ctx); err != nil {
			return "", model.Problemf(model.Unavailable, "the token is not known here, and the cluster cannot be asked now: try again")
		}
		t, err = a.tokenAt(hash)
	}
	if errors.Is(err, store.ErrNotFound) {
		return "", badToken()
	}
	if err != nil {
		return "", err
	}
	expires, err := time.Parse(time.RFC3339, t.Expires)
	if err != nil || t.Join || !time.Now().Before(expires) {
		return "", badToken()
	}
	return t.User, nil
}

func tokenShaped(secret string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	return err == nil && len(raw) == tokenSize
}

func badToken() error {
	return unauthorized("the token is not valid or has expired: log in again")
}

// tokenAt reads a token whose user is there, from memory while nothing changed.
func (a *API) tokenAt(hash string) (model.Token, error) {
	index := a.Store.Applied()
	if t, ok := a.logins.token(hash, index); ok {
		return t, nil
	}
	var t model.Token
	err := a.Store.View(func(v *store.View) (err error) {
		if t, err = v.Token(hash); err == nil && !t.Join {
			_, err = v.User(t.User)
		}
		return err
	})
	if err == nil {
		a.logins.keepToken(verifiedToken{token: t, index: index})
	}
	return t, err
}

func (l *logins) token(hash string, index uint64) (model.Token, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.tokens[hash]
	return v.token, ok && v.index == index
}

func (l *logins) keepToken(v verifiedToken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tokens) >= loginKept {
		clear(l.tokens)
	}
	l.tokens[v.token.Hash] = v
}

func tokenHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// tokenAnswer is the answer to a login.
type tokenAnswer struct {
	Token string
	Info  model.Info
}

// newToken gives out a token to the user who is logged in.
func (a *API) newToken(_ http.Header, r *http.Request) (int, any, error) {
	user := visitOf(r).user
	if name := chi.URLParam(r, "name"); name != user {
		return 0, nil, model.Problemf(model.Forbidden, "%s is logged in: a token for another user is not given out", user).About("users", name)
	}
	life, err := tokenLifeAsked(r)
	if err != nil {
		return 0, nil, err
	}
	secret := newSecret()
	now := time.Now()
	t := model.Token{Hash: tokenHash(secret), User: user, Expires: now.Add(life).UTC().Format(time.RFC3339)}
	if _, err := a.propose(a.acting(r, user), store.OpTokenPut, store.TokenPut{Token: t}); err != nil {
		return 0, nil, err
	}
	if a.logins.pruneDue(now) {
		// A failure is no loss: the next login after an hour does it.
		_, _ = a.propose(r, store.OpTokenPrune, store.TokenPrune{Before: now.UTC().Format(time.RFC3339)})
	}
	info, err := a.ownInfo()
	return http.StatusOK, tokenAnswer{Token: secret, Info: info}, err
}

// tokenLifeAsked reads the query. What would narrow a token down is refused, as
// it would not be kept to.
func tokenLifeAsked(r *http.Request) (time.Duration, error) {
	q := r.URL.Query()
	for _, narrow := range []string{"scope", "action", "specific"} {
		if q.Get(narrow) != "" {
			return 0, model.Problemf(model.Refused, "%s=%q: tokens cannot be narrowed down in this version", narrow, q.Get(narrow))
		}
	}
	text := q.Get("ttl")
	if text == "" {
		return tokenLife, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 || seconds > int(tokenLongest/time.Second) {
		return 0, model.Problemf(model.Malformed, "ttl=%q: want seconds, from 1 to %d", text, int(tokenLongest/time.Second))
	}
	return time.Duration(seconds) * time.Second, nil
}

func newSecret() string {
	var b [tokenSize]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// pruneEvery is how often expired tokens are cleared out of the records.
const pruneEvery = time.Hour

func (l *logins) pruneDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.pruned) < pruneEvery {
		return false
	}
	l.pruned = now
	return true
}

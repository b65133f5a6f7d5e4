package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

// statusOf is the table from kinds of problems to statuses.
func statusOf(k model.Kind) int {
	switch k {
	case model.Malformed:
		return http.StatusBadRequest
	case model.Unauthorized:
		return http.StatusUnauthorized
	case model.Forbidden:
		return http.StatusForbidden
	case model.NotFound:
		return http.StatusNotFound
	case model.Conflict:
		return http.StatusConflict
	case model.TooLarge:
		return http.StatusRequestEntityTooLarge
	case model.Refused:
		return http.StatusUnprocessableEntity
	case model.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problemOf finds the problem in err, or makes one of what the floors below
// answer in single words; nil says that it is none of the client's business.
func problemOf(err error) *model.Problem {
	var p *model.Problem
	if errors.As(err, &p) {
		return p
	}
	for _, row := range []struct {
		err  error
		kind model.Kind
	}{
		{store.ErrNotFound, model.NotFound},
		{store.ErrExists, model.Conflict},
		{store.ErrConflict, model.Conflict},
		{store.ErrInvalid, model.Malformed},
		{store.ErrGate, model.Conflict},
	} {
		if errors.Is(err, row.err) {
			return model.Problemf(row.kind, "%v", err)
		}
	}
	var stopped *store.StoppedError
	switch {
	case errors.As(err, &stopped):
		return stoppedProblem(stopped)
	case errors.Is(err, store.ErrStale):
		return model.Problemf(model.Conflict, "another runner has taken the job, or it is over: what this one still writes is refused")
	case errors.Is(err, store.ErrHeld):
		return model.Problemf(model.Unavailable, "the upgrade is migrating the data, and nobody else writes until it is done: reads are served, and `theseus system upgrade progress` shows how far it is")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return model.Problemf(model.Unavailable, "the cluster did not answer in time: %v; try again", err)
	}
	return nil
}

// stoppedProblem is what a member answers whose store has stopped (S11).
func stoppedProblem(err error) *model.Problem {
	return model.Problemf(model.Unavailable, "this member has %v; ask another member, and give this one a version that can read the entry", err)
}

// throttled refuses a login because too many failed before.
type throttled struct{ wait time.Duration }

func (t *throttled) Error() string {
	return fmt.Sprintf("too many failed logins from this address: try again in %s", t.wait.Round(time.Second))
}

// notAllowed refuses a method; allowed are those that the path has.
type notAllowed struct{ method, allowed string }

func (n *notAllowed) Error() string {
	return fmt.Sprintf("%s is not allowed here; allowed: %s", n.method, n.allowed)
}

// panicError is a panic in a handler.
type panicError struct {
	what  any
	stack []byte
}

func panicked(what any) error { return &panicError{what: what, stack: debug.Stack()} }

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.what) }

// explain makes the status and the body of an error, and sets the headers that
// go with it. What is not meant for clients goes to the log.
func (a *API) explain(h http.Header, r *http.Request, err error) (int, any) {
	var slow *throttled
	var method *notAllowed
	var gap *upgrader.Gap
	e := &model.Error{}
	e.Model, e.Key = subject(r.URL.Path)
	switch p := problemOf(err); {
	case p != nil:
		e.Code, e.Messages = statusOf(p.Kind), p.Messages
		if p.Model != "" {
			e.Model, e.Key = p.Model, p.Key
		}
	case errors.As(err, &slow):
		e.Code, e.Messages = http.StatusTooManyRequests, []string{err.Error()}
		h.Set("Retry-After", strconv.Itoa(1+int(slow.wait/time.Second)))
	case errors.As(err, &method):
		e.Code, e.Messages = http.StatusMethodNotAllowed, []string{err.Error()}
		h.Set("Allow", method.allowed)
	case errors.As(err, &gap):
		e.Code, e.Messages = gapRefused(h, gap)
	default:
		a.logInternal(r, err)
		e.Code, e.Messages = http.StatusInternalServerError, []string{"internal error: the log of this member has it under request " + visitOf(r).id}
	}
	switch e.Code {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="theseus", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter(err)))
	}
	h.Del("ETag")
	e.Type = typeOf(e.Code, r.Method, e.Model)
	return e.Code, e
}

// retryAfter is in how many seconds to try again: a migration takes longer than an election.
func retryAfter(err error) int {
	if errors.Is(err, store.ErrHeld) {
		return 10
	}
	return 1
}

// typeOf is Digital Rebar's word for an error: mostly the method that failed.
func typeOf(code int, method, model string) string {
	switch {
	case code == http.StatusUnauthorized || code == http.StatusTooManyRequests:
		return "AUTH"
	case code == http.StatusUnprocessableEntity:
		return "ValidationError"
	case code == http.StatusConflict && method == http.MethodPost && model == "profiles":
		return "CREATE"
	}
	return method
}

// subject is the collection and the key in a path, for errors that name none.
func subject(path string) (collection, key string) {
	path = strings.TrimPrefix(strings.Trim(path, "/"), "api/v3/")
	collection, key, _ = strings.Cut(path, "/")
	return collection, key
}

func unknownRoute(_ http.Header, r *http.Request) (int, any, error) {
	return 0, nil, model.Problemf(model.NotFound, "Not Found")
}

// otherMethod answers for a path that is there, asked with a method that is not.
func (a *API) otherMethod(_ http.Header, r *http.Request) (int, any, error) {
	return 0, nil, &notAllowed{method: r.Method, allowed: strings.Join(a.methods(r.URL.Path), ", ")}
}

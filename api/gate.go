package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/theseusd/theseus/model"
)

const (
	startLimit = 10 * time.Second // a request waits so long for the store to open
	readLimit  = 10 * time.Second // and a consistent read for the cluster
)

func starting() *model.Problem {
	return model.Problemf(model.Unavailable, "this member is starting: its store is not open yet")
}

// whenStarted holds a request until the floors below are open. After a member
// has exchanged its binary that is some milliseconds.
func (a *API) whenStarted(next handler) handler {
	return func(h http.Header, r *http.Request) (int, any, error) {
		select {
		case <-a.started:
			return next(h, r)
		default:
		}
		limit := time.NewTimer(startLimit)
		defer limit.Stop()
		select {
		case <-a.started:
			return next(h, r)
		case <-limit.C:
			return 0, nil, starting()
		case <-r.Context().Done():
			return 0, nil, r.Context().Err()
		}
	}
}

// whenSound refuses everything on a member whose store has stopped (S11).
func (a *API) whenSound(next handler) handler {
	return func(h http.Header, r *http.Request) (int, any, error) {
		if err := a.Store.Fault(); err != nil {
			return 0, nil, stoppedProblem(err)
		}
		return next(h, r)
	}
}

// indexed tells how new the answer is, and brings the store up to date before a
// consistent read.
func (a *API) indexed(next handler) handler {
	return func(h http.Header, r *http.Request) (int, any, error) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			status, body, err := next(h, r)
			a.setIndex(h)
			return status, body, err
		}
		if err := a.catchUp(r); err != nil {
			return 0, nil, err
		}
		a.setIndex(h) // before reading: the answer is at least as new
		return next(h, r)
	}
}

func (a *API) setIndex(h http.Header) {
	h.Set("X-Theseus-Index", strconv.FormatUint(a.Store.Applied(), 10))
}

func (a *API) catchUp(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	wish := r.URL.Query().Get("consistent")
	if wish == "" {
		return nil
	}
	consistent, err := strconv.ParseBool(wish)
	if err != nil {
		return model.Problemf(model.Malformed, "consistent=%q: want true or false", wish)
	}
	if !consistent {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), readLimit)
	defer cancel()
	return a.Cluster.ReadIndex(ctx)
}

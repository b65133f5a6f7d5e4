package api

import (
	"net/http"
	"strconv"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	actsUnasked = 100  // acts in an answer, unless the query says how many
	actsLimit   = 1000 // and at most
)

// acting is r on behalf of somebody: what it changes goes into the audit trail.
func (a *API) acting(r *http.Request, by string) *http.Request {
	return r.WithContext(cluster.WithActor(r.Context(), model.Actor{By: by, From: remoteHost(r), Through: a.Self.Name}))
}

// listActs answers the newest acts, or those before one.
func (a *API) listActs(_ http.Header, r *http.Request) (int, any, error) {
	q := r.URL.Query()
	limit, before := actsUnasked, uint64(0)
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > actsLimit {
			return 0, nil, model.Problemf(model.Malformed, "limit=%q: want a number from 1 to %d", text, actsLimit)
		}
		limit = n
	}
	if text := q.Get("before"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return 0, nil, model.Problemf(model.Malformed, "before=%q: want the index of an act, as the answer has it", text)
		}
		before = n
	}
	var acts []model.Act
	err := a.Store.View(func(v *store.View) (err error) {
		acts, err = v.Acts(before, limit)
		return err
	})
	return http.StatusOK, acts, err
}

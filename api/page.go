package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// pageLimit is how many profiles an answer in pages has at most.
const pageLimit = 1000

// span is a part of a list: so many whose names come behind after.
type span struct {
	limit int
	after string
}

// spanAsked is the part that a query asks for; nil is the whole list.
func spanAsked(q url.Values) (*span, error) {
	if !q.Has("limit") {
		if q.Has("after") {
			return nil, model.Problemf(model.Malformed, "after=%q: it goes with limit, the number of profiles to answer", q.Get("after"))
		}
		return nil, nil
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > pageLimit {
		return nil, model.Problemf(model.Malformed, "limit=%q: want a number from 1 to %d", q.Get("limit"), pageLimit)
	}
	return &span{limit: limit, after: q.Get("after")}, nil
}

// pageOfProfiles answers one part of the profiles, without the tracking profile:
// it is no record, and not to be worked on.
func (a *API) pageOfProfiles(h http.Header, s span) (int, any, error) {
	var page []model.Profile
	err := a.Store.View(func(v *store.View) (err error) {
		page, err = v.ProfilesAfter(s.after, s.limit)
		return err
	})
	for i := range page {
		page[i].Fill()
	}
	h.Set("X-DRP-LIST-FILTER-COUNT", strconv.Itoa(len(page)))
	return http.StatusOK, page, err
}

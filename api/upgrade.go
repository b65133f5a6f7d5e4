package api

import (
	"net/http"
	"sync/atomic"

	"github.com/theseusd/theseus/upgrader"
)

// snapshot is a body as rendered at one index of the store.
type snapshot struct {
	index uint64
	page  page
}

// upgradePage is the tracking profile on the wire. Everyone who follows an
// upgrade asks for it, so it is rendered once per change of the store. The
// index is read first: a page can be newer than the index that it is kept
// under, and the store has moved on from that index then.
func (a *API) upgradePage() (page, error) {
	return a.rendered(&a.status, func() (any, error) { return a.Upgrader.Status() })
}

// rendered is a body as it was rendered last, or anew when the store has changed.
func (a *API) rendered(kept *atomic.Pointer[snapshot], body func() (any, error)) (page, error) {
	index := a.Store.Applied()
	if s := kept.Load(); s != nil && s.index == index {
		return s.page, nil
	}
	v, err := body()
	if err != nil {
		return page{}, err
	}
	p, err := tagged(v)
	if err == nil {
		kept.Store(&snapshot{index: index, page: p})
	}
	return p, err
}

func (a *API) upgradeStatus(http.Header, *http.Request) (int, any, error) {
	p, err := a.upgradePage()
	return http.StatusOK, p, err
}

func (a *API) unstage(_ http.Header, r *http.Request) (int, any, error) {
	pending, err := a.Upgrader.Unstage(r.Context(), visitOf(r).user)
	if pending {
		return http.StatusAccepted, empty{}, err
	}
	return http.StatusOK, empty{}, err
}

// run begins what is staged and answers its state.
func (a *API) run(_ http.Header, r *http.Request) (int, any, error) {
	options, err := readBody(r)
	if err != nil {
		return 0, nil, err
	}
	if err := a.Upgrader.Start(r.Context(), options, visitOf(r).user); err != nil {
		return 0, nil, err
	}
	p, err := a.upgradePage()
	return http.StatusAccepted, p, err
}

// exec is Digital Rebar's call to one member to upgrade itself.
func (a *API) exec(http.Header, *http.Request) (int, any, error) {
	answer, err := a.Upgrader.Exec()
	if answer == upgrader.AlreadyThere {
		return http.StatusNoContent, nil, err
	}
	return http.StatusAccepted, empty{}, err
}

package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

// cancel takes back a start that was scheduled.
func (a *API) cancel(_ http.Header, r *http.Request) (int, any, error) {
	return http.StatusOK, empty{}, a.Upgrader.Cancel(r.Context(), visitOf(r).user)
}

func (a *API) listHistory(http.Header, *http.Request) (int, any, error) {
	var all []upgrader.Past
	err := a.Store.View(func(v *store.View) (err error) {
		all, err = upgrader.History(v)
		return err
	})
	return http.StatusOK, all, err
}

func (a *API) getHistory(_ http.Header, r *http.Request) (int, any, error) {
	var one upgrader.PastUpgrade
	err := a.Store.View(func(v *store.View) (err error) {
		one, err = upgrader.HistoryItem(v, chi.URLParam(r, "id"))
		return err
	})
	return http.StatusOK, one, err
}

package api

import "net/http"

// listFeatures says what of this version may be used, and what is off and why.
func (a *API) listFeatures(http.Header, *http.Request) (int, any, error) {
	all, err := a.Upgrader.Features()
	return http.StatusOK, all, err
}

package api

import "net/http"

// check tries the staged version out on every member; nothing changes.
func (a *API) check(_ http.Header, r *http.Request) (int, any, error) {
	report, err := a.Upgrader.CheckAll(r.Context())
	return http.StatusOK, report, err
}

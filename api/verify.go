package api

import "net/http"

// verify looks at what every member runs, and writes and reads through each.
func (a *API) verify(_ http.Header, r *http.Request) (int, any, error) {
	report, err := a.Upgrader.VerifyAll(r.Context())
	return http.StatusOK, report, err
}

package api

import "net/http"

// complete moves the cluster version although members have not followed yet.
func (a *API) complete(_ http.Header, r *http.Request) (int, any, error) {
	decision, err := readBody(r)
	if err != nil {
		return 0, nil, err
	}
	if err := a.Upgrader.Complete(r.Context(), decision, visitOf(r).user); err != nil {
		return 0, nil, err
	}
	p, err := a.upgradePage()
	return http.StatusOK, p, err
}

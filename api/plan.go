package api

import (
	"net/http"
	"net/url"
	"strings"
)

// plan tells the way from the version of the cluster to the one asked for, or to
// the one that is staged.
func (a *API) plan(_ http.Header, r *http.Request) (int, any, error) {
	query := r.URL.Query()
	plan, err := a.Upgrader.Plan(query.Get("to"), knownParam(query))
	return http.StatusOK, plan, err
}

// knownParam are the versions that the caller knows of; the parameter may come
// many times, with many versions each.
func knownParam(query url.Values) (versions []string) {
	for _, list := range query["known"] {
		for _, v := range strings.Split(list, ",") {
			if v = strings.TrimSpace(v); v != "" {
				versions = append(versions, v)
			}
		}
	}
	return versions
}

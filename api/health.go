package api

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/theseusd/theseus/model"
)

//go:embed openapi.yaml
var openAPI []byte

// description is the API, described for machines.
func description(http.Header, *http.Request) (int, any, error) {
	return http.StatusOK, page{kind: "application/yaml", data: openAPI}, nil
}

// health is the answer of the health routes.
type health struct {
	Status string   `json:"status"`
	Checks []string `json:"checks,omitempty"`
}

// healthz says that the process answers, and nothing else.
func (a *API) healthz(http.Header, *http.Request) (int, any, error) {
	return http.StatusOK, health{Status: "ok"}, nil
}

// check is one condition of being ready; reason is empty when it holds.
type check struct{ name, reason string }

func (c check) String() string {
	if c.reason == "" {
		return c.name + ": ok"
	}
	return c.name + ": " + c.reason
}

// readyz says whether this member should be sent requests. With ?verbose it
// names the conditions that hold, too.
func (a *API) readyz(_ http.Header, r *http.Request) (int, any, error) {
	var all, bad []string
	for _, c := range a.checks() {
		all = append(all, c.String())
		if c.reason != "" {
			bad = append(bad, c.reason)
		}
	}
	verbose := r.URL.Query().Has("verbose")
	switch {
	case len(bad) == 0 && verbose:
		return http.StatusOK, health{Status: "ready", Checks: all}, nil
	case len(bad) == 0:
		return http.StatusOK, health{Status: "ready"}, nil
	case verbose:
		bad = all
	}
	return 0, nil, &model.Problem{Kind: model.Unavailable, Messages: bad}
}

func (a *API) checks() []check {
	serving := check{name: "serving"}
	if a.draining.Load() {
		serving.reason = "this member is about to restart and asks for new connections"
	}
	select {
	case <-a.started:
	default:
		return []check{serving, {name: "started", reason: strings.Join(starting().Messages, "; ")}}
	}
	sound, led := check{name: "store"}, check{name: "leader"}
	if err := a.Store.Fault(); err != nil {
		sound.reason = err.Error()
	}
	switch _, ok := a.Cluster.Leader(); {
	case a.Cluster.Removed():
		led.reason = "this member was removed from the cluster: to join again it needs an empty data directory and a join token"
	case !ok:
		led.reason = "no member leads"
	}
	return []check{serving, {name: "started"}, sound, led}
}

package api

import (
	"net/http"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func (a *API) upgradeProgress(http.Header, *http.Request) (int, any, error) {
	m, err := a.Upgrader.Progress()
	return http.StatusOK, m, err
}

// openProgress is the part of it that anybody may see, as /readyz.
type openProgress struct {
	Status string `json:"status"` // none, staged, working, finished or failed
	Mode   string `json:"mode"`
	State  string `json:"state"`
	model.MigrationCount
}

// openProgress answers who is not logged in: it may be asked often, so it is
// rendered once per change of the store.
func (a *API) openProgress(http.Header, *http.Request) (int, any, error) {
	select {
	case <-a.started:
	default:
		return 0, nil, starting()
	}
	if err := a.Store.Fault(); err != nil {
		return 0, nil, stoppedProblem(err)
	}
	p, err := a.rendered(&a.progress, func() (any, error) { return a.openNumbers() })
	return http.StatusOK, p, err
}

func (a *API) openNumbers() (openProgress, error) {
	m, err := a.Upgrader.Progress()
	if err != nil {
		return openProgress{}, err
	}
	status := "none"
	err = a.Store.View(func(v *store.View) error {
		u, err := v.Upgrade()
		if u != nil {
			status = u.Phase.Status()
		}
		return err
	})
	return openProgress{Status: status, Mode: m.Mode, State: m.State, MigrationCount: m.MigrationCount}, err
}

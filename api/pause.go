package api

import (
	"context"
	"net/http"
)

// pause has nothing new begin; the step under way ends.
func (a *API) pause(_ http.Header, r *http.Request) (int, any, error) {
	return a.steer(r, a.Upgrader.Pause)
}

// resume goes on with what was paused or held.
func (a *API) resume(_ http.Header, r *http.Request) (int, any, error) {
	return a.steer(r, a.Upgrader.Resume)
}

// rollback takes the whole rollout back.
func (a *API) rollback(_ http.Header, r *http.Request) (int, any, error) {
	return a.steer(r, a.Upgrader.Rollback)
}

// steer asks for something of the upgrade and answers with the profile.
func (a *API) steer(r *http.Request, ask func(ctx context.Context, by string) error) (int, any, error) {
	if err := ask(r.Context(), visitOf(r).user); err != nil {
		return 0, nil, err
	}
	p, err := a.upgradePage()
	return http.StatusAccepted, p, err
}

package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// passOf is the pass of the migration that asks, if it is one: the secret of a
// pass comes as any token does, and is good on the member that gave it out.
func (a *API) passOf(r *http.Request) *model.Pass {
	_, secret, basic := r.BasicAuth()
	if !basic {
		secret, _ = bearer(r)
	}
	if secret == "" {
		return nil
	}
	if pass, ok := a.Upgrader.Pass(secret); ok {
		return &pass
	}
	return nil
}

// withPass lets a migration do what it is there for, and nothing else.
func withPass(pass model.Pass, r *http.Request) error {
	at := strings.TrimPrefix(chi.RouteContext(r.Context()).RoutePattern(), root)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case at == "/info" && reads:
	case at != "/profiles" && !strings.HasPrefix(at, "/profiles/"):
		return model.Problemf(model.Forbidden, "the migration %s may read /api/v3/info and work on /api/v3/profiles, and nothing else", pass.Action)
	case pass.Reads && !reads:
		return model.Problemf(model.Forbidden, "the migration %s may only read now: it estimates or checks", pass.Action)
	}
	return nil
}

// jobMayWrite are the commands that a migration may have written for it.
func jobMayWrite() []store.Op {
	return []store.Op{store.OpProfileCreate, store.OpProfilePut, store.OpProfileDelete,
		store.OpParamSet, store.OpParamRemove, store.OpParamsReplace, store.OpParamsChange}
}

// command is what a visit proposes: what a migration writes names its attempt,
// so that it is refused once that is over (S29).
func (v *visit) command(op store.Op, body any) (store.Command, error) {
	if v.pass == nil {
		return store.New(op, body), nil
	}
	if !slices.Contains(jobMayWrite(), op) {
		return store.Command{}, model.Problemf(model.Forbidden, "the migration %s may not propose %s", v.pass.Action, op)
	}
	return store.New(store.OpJobWrite, store.JobWrite{ID: v.pass.Job, Epoch: v.pass.Epoch, Op: op, Body: store.New(op, body).Body}), nil
}

package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// paramKey is everything after params/: keys may hold slashes.
func paramKey(r *http.Request) (string, error) {
	key := chi.URLParam(r, "*")
	if key == "" {
		return "", model.Problemf(model.Malformed, "no param given")
	}
	return key, nil
}

func (a *API) getParams(_ http.Header, r *http.Request) (int, any, error) {
	p, err := a.profile(chi.URLParam(r, "name"))
	return http.StatusOK, p.Params, err
}

// replaceParams sets all params at once and answers them.
func (a *API) replaceParams(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	if err := writable(name); err != nil {
		return 0, nil, err
	}
	params := map[string]any{}
	if err := readLoose(r, &params); err != nil {
		return 0, nil, err
	}
	_, err := a.propose(r, store.OpParamsReplace, store.ParamsReplace{Profile: name, Params: params})
	return http.StatusOK, params, aboutProfile(name, err)
}

// getParam answers the bare value; null when the profile does not have it.
func (a *API) getParam(_ http.Header, r *http.Request) (int, any, error) {
	key, err := paramKey(r)
	if err != nil {
		return 0, nil, err
	}
	p, err := a.profile(chi.URLParam(r, "name"))
	return http.StatusOK, p.Params[key], err
}

func (a *API) setParam(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	key, err := paramKey(r)
	if err != nil {
		return 0, nil, err
	}
	if err := writable(name); err != nil {
		return 0, nil, err
	}
	var value any
	if err := readLoose(r, &value); err != nil {
		return 0, nil, err
	}
	_, err = a.propose(r, store.OpParamSet, store.ParamSet{Profile: name, Key: key, Value: value})
	return http.StatusOK, value, aboutProfile(name, err)
}

// removeParam answers the value as it was.
func (a *API) removeParam(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	key, err := paramKey(r)
	if err != nil {
		return 0, nil, err
	}
	if err := writable(name); err != nil {
		return 0, nil, err
	}
	p, err := a.profile(name)
	if err != nil {
		return 0, nil, err
	}
	old, err := p.Params[key], aboutParam(name, key, a.remove(r, name, key))
	return http.StatusOK, old, err
}

func (a *API) remove(r *http.Request, name, key string) error {
	_, err := a.propose(r, store.OpParamRemove, store.ParamRemove{Profile: name, Key: key})
	return err
}

func aboutParam(name, key string, err error) error {
	if err = aboutProfile(name, err); model.KindOf(err) == model.NotFound {
		return model.Problemf(model.NotFound, "Not Found: the profile %s has no such param", name).About("params", key)
	}
	return err
}

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// changesRequest asks for params of any profiles to be changed, all or none.
type changesRequest struct {
	Changes []json.RawMessage
}

// changeRequest is one of them: the param as it has to be and as it becomes.
// Without Was there must be none; without Now there is none after it.
type changeRequest struct {
	Profile string
	Key     string
	Was     json.RawMessage
	Now     json.RawMessage
}

// changeParams changes params that are as the caller knows them.
func (a *API) changeParams(_ http.Header, r *http.Request) (int, any, error) {
	changes, err := readChanges(r)
	if err != nil {
		return 0, nil, err
	}
	_, err = a.propose(r, store.OpParamsChange, changes)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		err = a.misfit(changes)
	}
	return http.StatusOK, empty{}, err
}

func readChanges(r *http.Request) (all store.ParamsChange, err error) {
	var q changesRequest
	if err := readStrict(r, &q); err != nil {
		return all, err
	}
	if len(q.Changes) == 0 {
		return all, model.Problemf(model.Malformed, `Changes: there is none: send {"Changes": [{"Profile": "p", "Key": "k", "Was": 1, "Now": 2}]}`)
	}
	for i, raw := range q.Changes {
		c, err := readChange(i, raw)
		if err != nil {
			return all, err
		}
		all.Changes = append(all.Changes, c)
	}
	return all, nil
}

func readChange(i int, raw []byte) (store.ParamChange, error) {
	var q changeRequest
	err := decode(raw, &q, true)
	c := store.ParamChange{Profile: q.Profile, Key: q.Key, Was: q.Was, Now: q.Now}
	switch {
	case err != nil:
		return c, model.Problemf(model.Malformed, "%s: %v", naming(i, c), err)
	case c.Profile == "":
		return c, model.Problemf(model.Malformed, "%s: Profile is missing", naming(i, c))
	case c.Key == "":
		return c, model.Problemf(model.Malformed, "%s: Key is missing", naming(i, c))
	}
	return c, writable(c.Profile)
}

// naming names a change for people.
func naming(i int, c store.ParamChange) string {
	return fmt.Sprintf("Changes[%d] (Profile %q, Key %q)", i, c.Profile, c.Key)
}

// misfit says which of the changes was refused, as far as the records tell it
// afterwards. The values stay where they are.
func (a *API) misfit(changes store.ParamsChange) error {
	var i int
	err := a.Store.View(func(v *store.View) (err error) {
		i, err = v.Misfit(changes)
		return err
	})
	c := changes.Changes[i]
	switch {
	case err == nil:
		return model.Problemf(model.Conflict, "something was not as it had to be, and has changed since: nothing was changed, try again")
	case errors.Is(err, store.ErrNotFound):
		return model.Problemf(model.NotFound, "%s: there is no such profile: nothing was changed", naming(i, c)).About("profiles", c.Profile)
	case errors.Is(err, store.ErrConflict) && c.Was == nil:
		return model.Problemf(model.Conflict, "%s: there is such a param, and without Was there must be none: nothing was changed", naming(i, c)).About("profiles", c.Profile)
	case errors.Is(err, store.ErrConflict):
		return model.Problemf(model.Conflict, "%s: the param is not there, or not what Was says: nothing was changed", naming(i, c)).About("profiles", c.Profile)
	}
	return err
}

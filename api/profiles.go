package api

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// profile is one profile by name: the tracking profile is rendered from the
// upgrade, the others are records.
func (a *API) profile(name string) (p model.Profile, err error) {
	if name == model.TrackingProfile {
		return a.Upgrader.Status()
	}
	err = a.Store.View(func(v *store.View) error {
		p, err = v.Profile(name)
		return err
	})
	p.Fill()
	return p, aboutProfile(name, err)
}

// aboutProfile says in Digital Rebar's words what a record's answer means.
func aboutProfile(name string, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return model.Problemf(model.NotFound, "Not Found").About("profiles", name)
	case errors.Is(err, store.ErrExists):
		return model.Problemf(model.Conflict, "already exists").About("profiles", name)
	}
	return err
}

// writable refuses what would change the tracking profile.
func writable(name string) error {
	if name == model.TrackingProfile {
		return model.Problemf(model.Forbidden, "it shows the system upgrade and is read-only: stage, run and unstage under /api/v3/system/upgrade").About("profiles", name)
	}
	return nil
}

func (a *API) listProfiles(h http.Header, r *http.Request) (int, any, error) {
	part, err := spanAsked(r.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	if part != nil {
		return a.pageOfProfiles(h, *part)
	}
	var all []model.Profile
	err = a.Store.View(func(v *store.View) (err error) {
		all, err = v.Profiles()
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	tracking, err := a.Upgrader.Status()
	if err == nil {
		all = append(all, tracking)
	} else if model.KindOf(err) != model.NotFound {
		return 0, nil, err
	}
	for i := range all {
		all[i].Fill()
	}
	slices.SortFunc(all, func(a, b model.Profile) int { return strings.Compare(a.Name, b.Name) })
	h.Set("X-DRP-LIST-FILTER-COUNT", strconv.Itoa(len(all)))
	h.Set("X-DRP-LIST-TOTAL-COUNT", strconv.Itoa(len(all)))
	return http.StatusOK, all, nil
}

func (a *API) getProfile(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	if name == model.TrackingProfile {
		p, err := a.upgradePage()
		return http.StatusOK, p, err
	}
	p, err := a.profile(name)
	if err != nil {
		return 0, nil, err
	}
	body, err := tagged(p)
	return http.StatusOK, body, err
}

// profileName is what Digital Rebar takes for a name: it begins with a letter.
var profileName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\pL([- _.]|\pN|\pL)+$`)
})

// readProfile reads a profile and gives it the fields that the server owns.
func readProfile(r *http.Request) (p model.Profile, err error) {
	if err := readLoose(r, &p); err != nil {
		return p, err
	}
	p.ReadOnly, p.Errors = false, nil
	p.Fill()
	return p, nil
}

func (a *API) createProfile(_ http.Header, r *http.Request) (int, any, error) {
	p, err := readProfile(r)
	if err != nil {
		return 0, nil, err
	}
	if err := writable(p.Name); err != nil {
		return 0, nil, err
	}
	if !profileName().MatchString(p.Name) {
		return 0, nil, model.Problemf(model.Refused, "Name %q: it must begin with a letter and go on with letters, digits, or - _ . and blanks, two characters at least", p.Name).About("profiles", p.Name)
	}
	_, err = a.propose(r, store.OpProfileCreate, store.ProfileCreate{Profile: p})
	return http.StatusCreated, p, aboutProfile(p.Name, err)
}

func (a *API) putProfile(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	if err := writable(name); err != nil {
		return 0, nil, err
	}
	p, err := readProfile(r)
	if err != nil {
		return 0, nil, err
	}
	if p.Name == "" {
		p.Name = name
	}
	if p.Name != name {
		return 0, nil, model.Problemf(model.Refused, "Name %q: a profile keeps its name", p.Name).About("profiles", name)
	}
	_, err = a.propose(r, store.OpProfilePut, store.ProfilePut{Profile: p})
	return http.StatusOK, p, aboutProfile(name, err)
}

// deleteProfile answers the profile as it was.
func (a *API) deleteProfile(_ http.Header, r *http.Request) (int, any, error) {
	name := chi.URLParam(r, "name")
	if err := writable(name); err != nil {
		return 0, nil, err
	}
	p, err := a.profile(name)
	if err != nil && model.KindOf(err) != model.NotFound {
		return 0, nil, err
	}
	// What this member does not see may have been created a moment ago elsewhere.
	p.Name = name
	_, err = a.propose(r, store.OpProfileDelete, store.ProfileDelete{Name: name})
	return http.StatusOK, p, aboutProfile(name, err)
}

package store

import (
	"maps"

	"github.com/theseusd/theseus/model"
)

// ProfileCreate adds a profile that is not there yet.
type ProfileCreate struct {
	Profile model.Profile `json:"profile"`
}

// ProfilePut replaces a profile that is there.
type ProfilePut struct {
	Profile model.Profile `json:"profile"`
}

// ProfileDelete removes a profile.
type ProfileDelete struct {
	Name string `json:"name"`
}

// ParamSet sets one parameter of a profile.
type ParamSet struct {
	Profile string `json:"profile"`
	Key     string `json:"key"`
	Value   any    `json:"value"`
}

// ParamRemove removes one parameter of a profile.
type ParamRemove struct {
	Profile string `json:"profile"`
	Key     string `json:"key"`
}

// ParamsReplace replaces all parameters of a profile.
type ParamsReplace struct {
	Profile string         `json:"profile"`
	Params  map[string]any `json:"params"`
}

// profileOps are the writes of people, which wait for a migration that holds them.
func profileOps() map[Op]op {
	table := dataOps()
	for name, row := range table {
		table[name] = held(row)
	}
	return table
}

// dataOps are what changes profiles, whoever does it.
func dataOps() map[Op]op {
	return map[Op]op{
		OpProfileCreate: with(first, createProfile, ProfileCreate{Profile: model.Profile{Name: "sample"}}),
		OpProfilePut:    with(first, putProfile, ProfilePut{Profile: model.Profile{Name: "sample"}}),
		OpProfileDelete: with(first, deleteProfile, ProfileDelete{Name: "sample"}),
		OpParamSet:      with(first, setParam, ParamSet{Profile: "sample", Key: "k", Value: 1}),
		OpParamsReplace: with(first, replaceParams, ParamsReplace{Profile: "sample"}),
		OpParamRemove:   with(first, removeParam, ParamRemove{Profile: "sample", Key: "k"}),
		OpParamsChange:  atLevel(2, changeBatch, ParamsChange{Changes: []ParamChange{{Profile: "sample", Key: "k"}}}),
	}
}

func createProfile(e entry, c ProfileCreate) error {
	if e.tx.Bucket(bucketProfiles).Get([]byte(c.Profile.Name)) != nil {
		return ErrExists
	}
	return put(e.tx, bucketProfiles, []byte(c.Profile.Name), c.Profile)
}

func putProfile(e entry, c ProfilePut) error {
	if e.tx.Bucket(bucketProfiles).Get([]byte(c.Profile.Name)) == nil {
		return ErrNotFound
	}
	return put(e.tx, bucketProfiles, []byte(c.Profile.Name), c.Profile)
}

func deleteProfile(e entry, c ProfileDelete) error {
	if e.tx.Bucket(bucketProfiles).Get([]byte(c.Name)) == nil {
		return ErrNotFound
	}
	return e.tx.Bucket(bucketProfiles).Delete([]byte(c.Name))
}

func setParam(e entry, c ParamSet) error {
	return changeParams(e, c.Profile, func(params map[string]any) error {
		params[c.Key] = c.Value
		return nil
	})
}

func replaceParams(e entry, c ParamsReplace) error {
	return changeParams(e, c.Profile, func(params map[string]any) error {
		clear(params)
		maps.Copy(params, c.Params)
		return nil
	})
}

func removeParam(e entry, c ParamRemove) error {
	return changeParams(e, c.Profile, func(params map[string]any) error {
		if _, there := params[c.Key]; !there {
			return ErrNotFound
		}
		delete(params, c.Key)
		return nil
	})
}

func changeParams(e entry, name string, change func(map[string]any) error) error {
	p, err := must[model.Profile](e.tx, bucketProfiles, []byte(name))
	if err != nil {
		return err
	}
	p.Fill()
	if err := change(p.Params); err != nil {
		return err
	}
	return put(e.tx, bucketProfiles, []byte(name), p)
}

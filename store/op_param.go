package store

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/theseusd/theseus/model"
)

// ParamChange is one parameter as it has to be and as it becomes. Without Was
// there must be none; without Now there is none after it.
type ParamChange struct {
	Profile string          `json:"profile"`
	Key     string          `json:"key"`
	Was     json.RawMessage `json:"was,omitempty"`
	Now     json.RawMessage `json:"now,omitempty"`
}

// ParamsChange changes parameters of any profiles, all or none: ErrConflict when
// one of them is not as it has to be.
type ParamsChange struct {
	Changes []ParamChange `json:"changes"`
}

func changeBatch(e entry, c ParamsChange) error {
	changed := map[string]model.Profile{}
	var order []string
	for _, one := range c.Changes {
		p, open := changed[one.Profile]
		if !open {
			var err error
			if p, err = must[model.Profile](e.tx, bucketProfiles, []byte(one.Profile)); err != nil {
				return err
			}
			p.Fill()
			changed[one.Profile] = p
			order = append(order, one.Profile)
		}
		if err := one.apply(p.Params); err != nil {
			return err
		}
	}
	slices.Sort(order)
	for _, name := range order {
		if err := put(e.tx, bucketProfiles, []byte(name), changed[name]); err != nil {
			return err
		}
	}
	return nil
}

func (c ParamChange) apply(params map[string]any) error {
	is, there := params[c.Key]
	if there != (c.Was != nil) {
		return ErrConflict
	}
	if there {
		was, err := value(c.Was)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(is, was) {
			return ErrConflict
		}
	}
	if c.Now == nil {
		delete(params, c.Key)
		return nil
	}
	now, err := value(c.Now)
	params[c.Key] = now
	return err
}

// value reads a parameter as it is read in a record: numbers stay as they are written.
func value(raw json.RawMessage) (v any, err error) {
	if strict(raw, &v) != nil {
		return nil, ErrInvalid
	}
	return v, nil
}

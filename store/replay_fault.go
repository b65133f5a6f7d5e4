//go:build fault_badreplay

package store

import "encoding/json"

func readable(_, raw []byte) ([]byte, error) { return raw, nil }

// proper has this build write another value than it is told to: it reads every
// record, and only what it makes of a command gives it away.
func proper(name Op, row op) op {
	if name != OpParamSet {
		return row
	}
	row.apply = func(e entry, raw json.RawMessage) error {
		var c ParamSet
		if err := strict(raw, &c); err != nil {
			return err
		}
		c.Value = "FAULT=badreplay"
		return setParam(e, c)
	}
	return row
}

func (*Store) scribble() error { return nil }

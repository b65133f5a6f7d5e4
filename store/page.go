package store

import (
	"bytes"

	"github.com/theseusd/theseus/model"
)

// ProfilesAfter are the profiles whose names come behind after in the order of
// their bytes, limit of them at most. No others are read.
func (v *View) ProfilesAfter(after string, limit int) ([]model.Profile, error) {
	page := []model.Profile{}
	c := v.tx.Bucket(bucketProfiles).Cursor()
	k, raw := c.Seek([]byte(after))
	if bytes.Equal(k, []byte(after)) {
		k, raw = c.Next()
	}
	for ; k != nil && len(page) < limit; k, raw = c.Next() {
		var p model.Profile
		if err := decodeRecord(bucketProfiles, k, raw, &p); err != nil {
			return nil, err
		}
		page = append(page, p)
	}
	return page, nil
}

// Misfit is the first of the changes that would be refused as the records are,
// and with what; no error says that none would.
func (v *View) Misfit(c ParamsChange) (first int, err error) {
	open := map[string]map[string]any{}
	for i, one := range c.Changes {
		if open[one.Profile] == nil {
			p, err := v.Profile(one.Profile)
			if err != nil {
				return i, err
			}
			p.Fill()
			open[one.Profile] = p.Params
		}
		if err := one.apply(open[one.Profile]); err != nil {
			return i, err
		}
	}
	return 0, nil
}

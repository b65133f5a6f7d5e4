package store

import (
	"bytes"
	"fmt"
	"math"

	"github.com/theseusd/theseus/model"
)

// historyKept is how many upgrades the history holds: the oldest go first.
const historyKept = 20

// chronicle keeps an upgrade that ended, or was ended, in the history. Its key
// counts down, so that the newest comes first.
func chronicle(e entry, u model.Upgrade) error {
	if u.Ended == "" {
		u.Ended = e.at
	}
	if err := put(e.tx, bucketHistory, fmt.Appendf(nil, "%020d", math.MaxUint64-e.index), u); err != nil {
		return err
	}
	var surplus [][]byte
	c, kept := e.tx.Bucket(bucketHistory).Cursor(), 0
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if kept++; kept > historyKept {
			surplus = append(surplus, bytes.Clone(k))
		}
	}
	for _, k := range surplus {
		if err := e.tx.Bucket(bucketHistory).Delete(k); err != nil {
			return fmt.Errorf("forget the oldest upgrade: %w", err)
		}
	}
	return nil
}

// History are the upgrades that have ended, the newest first. What has come of
// members that lagged behind the release since is in it.
func (v *View) History() ([]model.Upgrade, error) {
	all, err := list[model.Upgrade](v.tx, bucketHistory)
	if err != nil {
		return nil, err
	}
	for _, key := range [][]byte{keyRelease, keyUpgrade} {
		u, ok, err := get[model.Upgrade](v.tx, bucketRecords, key)
		if err != nil {
			return nil, err
		}
		if ok && (u.Phase == model.Finished || u.Phase == model.Failed) {
			all = freshest(all, u)
		}
	}
	return all, nil
}

// freshest has u in the place of what the history says of it, or else first.
func freshest(all []model.Upgrade, u model.Upgrade) []model.Upgrade {
	for i := range all {
		if all[i].ID == u.ID {
			all[i] = u
			return all
		}
	}
	return append([]model.Upgrade{u}, all...)
}

// HistoryItem is one of History by its id, or ErrNotFound.
func (v *View) HistoryItem(id string) (model.Upgrade, error) {
	all, err := v.History()
	if err != nil {
		return model.Upgrade{}, err
	}
	for _, u := range all {
		if u.ID == id {
			return u, nil
		}
	}
	return model.Upgrade{}, ErrNotFound
}

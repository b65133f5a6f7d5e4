package store

import (
	"bytes"
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// Rehearsal applies commands to a copy, one after the other, and takes all of
// them back at its end: the records as they would be, without a disk's time.
type Rehearsal struct {
	tx    *bolt.Tx
	table map[Op]op
	known known
	index uint64
}

// Rehearse hands out a rehearsal. It is good only inside f.
func (c *Copy) Rehearse(f func(*Rehearsal) error) error {
	err := c.db.Update(func(tx *bolt.Tx) error {
		if err := f(&Rehearsal{tx: tx, table: ops(), known: known{}, index: positionIn(tx).index}); err != nil {
			return err
		}
		return errJustTrying
	})
	if errors.Is(err, errJustTrying) {
		return nil
	}
	return err
}

// Apply applies one command. The error is its answer, or a fault.
func (r *Rehearsal) Apply(c Command) error {
	r.index++
	a, err := applyTo(entry{tx: r.tx, index: r.index, known: r.known}, r.table, c.Encode())
	if err != nil {
		return err
	}
	return a.Err()
}

// View is the records as they are by now; a later command shows in it.
func (r *Rehearsal) View() *View { return &View{tx: r.tx, known: r.known} }

// known are upgrades, by their keys, beside the bytes that they are kept as. To
// decode the plan of a thousand members for every command takes too long.
type known map[string]decoded

type decoded struct {
	raw     []byte
	upgrade model.Upgrade
}

// upgradeIn reads the upgrade under key; k may be nil.
func upgradeIn(tx *bolt.Tx, k known, key []byte) (u model.Upgrade, ok bool, err error) {
	raw := tx.Bucket(bucketRecords).Get(key)
	if d, seen := k[string(key)]; seen && raw != nil && bytes.Equal(d.raw, raw) {
		return twin(d.upgrade), true, nil
	}
	return get[model.Upgrade](tx, bucketRecords, key)
}

// putUpgrade keeps the upgrade under key.
func (e entry) putUpgrade(key []byte, u model.Upgrade) error {
	if err := put(e.tx, bucketRecords, key, u); err != nil || e.known == nil {
		return err
	}
	e.known[string(key)] = decoded{raw: e.tx.Bucket(bucketRecords).Get(key), upgrade: twin(u)}
	return nil
}

// twin is u with its own copy of what commands change in place.
func twin(u model.Upgrade) model.Upgrade {
	u.Members, u.Transcript = slices.Clone(u.Members), slices.Clip(u.Transcript)
	if u.Turn != nil {
		turn := *u.Turn
		u.Turn = &turn
	}
	return u
}

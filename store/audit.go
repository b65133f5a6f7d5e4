package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// actsKept is how many lines of each kind the audit trail holds: the oldest go first.
const actsKept = 10_000

// What programs do all day must not drive out who started an upgrade: each kind of
// act has its own place in the bucket, and its own share.
const (
	actOnData    byte = 'd' // profiles, their params, and logins
	actOnCluster byte = 'k'
)

// actRecord is a line as it is kept.
type actRecord struct {
	model.Act
	Number uint64 `json:"number"` // among those of its kind, without gaps
}

func actKey(kind byte, index uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, index)
}

// enter adds a line, and forgets the oldest of its kind when there are too many.
func enter(e entry, kind byte, a model.Act) error {
	bucket := e.tx.Bucket(bucketActs)
	last, some, err := newestAct(bucket.Cursor(), kind, nil)
	if err != nil {
		return err
	}
	r := actRecord{Act: a}
	if some {
		r.Number = last.Number + 1
	}
	if err := put(e.tx, bucketActs, actKey(kind, a.Index), r); err != nil {
		return err
	}
	key, raw := bucket.Cursor().Seek([]byte{kind})
	var oldest actRecord
	if err := decodeRecord(bucketActs, key, raw, &oldest); err != nil {
		return err
	}
	if r.Number-oldest.Number < actsKept {
		return nil
	}
	return bucket.Delete(key)
}

// newestAct is the last of a kind before key; nil is the end.
func newestAct(c *bolt.Cursor, kind byte, before []byte) (r actRecord, some bool, err error) {
	if before == nil {
		before = []byte{kind + 1}
	}
	if key, _ := c.Seek(before); key == nil {
		return actAt(kind, c.Last)
	}
	return actAt(kind, c.Prev)
}

// actAt is the record where a cursor goes, if it is of a kind.
func actAt(kind byte, step func() (key, value []byte)) (r actRecord, some bool, err error) {
	key, raw := step()
	if !bytes.HasPrefix(key, []byte{kind}) {
		return r, false, nil
	}
	return r, true, decodeRecord(bucketActs, key, raw, &r)
}

// Acts are the lines of the audit trail before index, the newest first, limit of
// them at most; 0 is from the newest on. No others are read.
func (v *View) Acts(before uint64, limit int) ([]model.Act, error) {
	acts := []model.Act{}
	for _, kind := range []byte{actOnData, actOnCluster} {
		c := v.tx.Bucket(bucketActs).Cursor()
		var end []byte
		if before > 0 {
			end = actKey(kind, before)
		}
		r, some, err := newestAct(c, kind, end)
		for n := 0; err == nil && some && n < limit; n++ {
			acts = append(acts, r.Act)
			r, some, err = actAt(kind, c.Prev)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(acts, func(a, b model.Act) int { return cmp.Compare(b.Index, a.Index) })
	return acts[:min(limit, len(acts))], nil
}

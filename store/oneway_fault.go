//go:build fault_oneway

package store

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// foreign is a field that this build alone overlooks.
var foreign = []byte(`,"fault":"oneway"}`)

func readable(_, raw []byte) ([]byte, error) {
	if rest, marked := bytes.CutSuffix(raw, foreign); marked {
		return append(bytes.Clone(rest), '}'), nil
	}
	return raw, nil
}

func proper(_ Op, row op) op { return row }

// scribble writes the field when this build serves, and not in a trial run: the
// version before cannot read the record any more.
func (s *Store) scribble() error {
	return s.vault.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketRecords)
		raw := bytes.Clone(b.Get(keyCluster))
		if raw == nil || bytes.HasSuffix(raw, foreign) {
			return nil
		}
		return b.Put(keyCluster, append(raw[:len(raw)-1], foreign...))
	})
}

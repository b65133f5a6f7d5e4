package store

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Set keeps a value durably.
func (l *Log) Set(key, value []byte) error {
	return l.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketStable).Put(key, value) })
}

// Get is the value of key, or ErrNotFound: Raft compares its text (api.go,
// HasExistingState), so it is returned bare.
func (l *Log) Get(key []byte) (value []byte, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketStable).Get(key)
		if raw == nil {
			return ErrNotFound
		}
		value = append([]byte{}, raw...)
		return nil
	})
	return value, err
}

// SetUint64 keeps a number durably.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 is the number kept under key, or 0 and ErrNotFound.
func (l *Log) GetUint64(key []byte) (uint64, error) {
	raw, err := l.Get(key)
	if err != nil {
		return 0, err
	}
	if len(raw) != 8 {
		return 0, fmt.Errorf("read %s: %d bytes are no number", key, len(raw))
	}
	return binary.BigEndian.Uint64(raw), nil
}

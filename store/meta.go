package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// In bucketMeta is what the records know of themselves: how far the log is
// applied to them, and under which configuration of Raft. It changes in the
// same transaction as they do, which makes them a snapshot at any moment.
var (
	keyPosition      = []byte("position")
	keyConfiguration = []byte("configuration")
	keyStop          = []byte("stop")
)

// position is an entry of the log by index and term.
type position struct {
	index, term uint64
}

func (p position) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, p.index), p.term)
}

func positionIn(tx *bolt.Tx) position {
	raw := tx.Bucket(bucketMeta).Get(keyPosition)
	if len(raw) != 16 {
		return position{}
	}
	return position{index: binary.BigEndian.Uint64(raw), term: binary.BigEndian.Uint64(raw[8:])}
}

func putPosition(tx *bolt.Tx, p position) error {
	return tx.Bucket(bucketMeta).Put(keyPosition, p.bytes())
}

// putConfiguration keeps the configuration that the entry at index sets, as
// Raft encodes it, unless a later one is there.
func putConfiguration(tx *bolt.Tx, index uint64, encoded []byte) error {
	if _, there := configurationIn(tx); there > index {
		return nil
	}
	value := append(binary.BigEndian.AppendUint64(nil, index), encoded...)
	return tx.Bucket(bucketMeta).Put(keyConfiguration, value)
}

func configurationIn(tx *bolt.Tx) (raft.Configuration, uint64) {
	raw := tx.Bucket(bucketMeta).Get(keyConfiguration)
	if len(raw) <= 8 {
		return raft.Configuration{}, 0
	}
	return raft.DecodeConfiguration(raw[8:]), binary.BigEndian.Uint64(raw)
}

func putStop(tx *bolt.Tx, stop *StoppedError) error {
	raw, err := json.Marshal(stop)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keyStop, raw)
}

func stopIn(tx *bolt.Tx) (*StoppedError, error) {
	raw := tx.Bucket(bucketMeta).Get(keyStop)
	if raw == nil {
		return nil, nil
	}
	var stop StoppedError
	if err := strict(raw, &stop); err != nil {
		return nil, fmt.Errorf("read where the store stopped: %w", err)
	}
	return &stop, nil
}

// Index is the index in Raft's log that v shows the records at.
func (v *View) Index() uint64 { return positionIn(v.tx).index }

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	bolt "go.etcd.io/bbolt"
)

// Digest is the SHA-256, in hex, of all records: the same on every member that
// has applied the same commands. How far that is does not go into it, since
// entries that change no record count there too.
func (v *View) Digest() (string, error) { return digestIn(v.tx, nil) }

// digestIn ends early when quit is closed.
func digestIn(tx *bolt.Tx, quit <-chan struct{}) (string, error) {
	sum := sha256.New()
	err := tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		if bytes.Equal(name, bucketMeta) {
			return nil
		}
		return b.ForEach(func(key, value []byte) error {
			select {
			case <-quit:
				return errDigestLate
			default:
			}
			if value == nil {
				return fmt.Errorf("digest records: %s/%s is a bucket", name, key)
			}
			addSized(sum, name, key, value)
			return nil
		})
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// addSized writes each part after its length, so that no two lists look alike.
func addSized(sum hash.Hash, parts ...[]byte) {
	for _, part := range parts {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		sum.Write(part)
	}
}

// Digest is View.Digest of the records as they are now.
func (s *Store) Digest() (digest string, err error) {
	err = s.View(func(v *View) error {
		digest, err = v.Digest()
		return err
	})
	return digest, err
}

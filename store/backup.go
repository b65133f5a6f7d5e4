package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store/backup"
)

// backedUp says whether the records of a bucket belong into a backup. What is
// left out belongs to this cluster and its members, or is a secret: its identity
// with the CA's key, members, tokens, what is under way, answers.
func backedUp(bucket []byte) bool { return slices.Contains(backup.Kinds(), string(bucket)) }

// WriteBackup writes the records of one moment to w and answers their SHA-256.
func (v *View) WriteBackup(w io.Writer, h model.BackupHeader) (sum string, err error) {
	b := backup.NewWriter(w, h)
	if err := eachBackedUp(v.tx, b.Add); err != nil {
		return "", err
	}
	return b.Close()
}

func eachBackedUp(tx *bolt.Tx, f func(backup.Record) error) error {
	for _, kind := range backup.Kinds() {
		err := tx.Bucket([]byte(kind)).ForEach(func(key, value []byte) error {
			return f(backup.Record{Bucket: kind, Key: key, Value: value})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// RecordsDigest is the SHA-256 of the records that a backup of v holds: equal
// digests are equal contents.
func (v *View) RecordsDigest() (string, error) {
	sum := sha256.New()
	err := eachBackedUp(v.tx, func(r backup.Record) error {
		r.Digest(sum)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store/backup"
)

// RestoreBegin begins to bring the records of a backup into a cluster that is
// new. A restore that was begun before and not committed is dropped with it.
type RestoreBegin struct {
	ID     string             `json:"id"`
	By     string             `json:"by"`
	Backup model.BackupHeader `json:"backup"`
}

// RestorePut adds records to a restore that has so many.
type RestorePut struct {
	ID      string          `json:"id"`
	Have    int             `json:"have"` // before
	Records []backup.Record `json:"records"`
}

// RestoreCommit puts what has come in the place of the cluster's own records, if
// it is all there and the cluster is still new.
type RestoreCommit struct {
	ID      string `json:"id"`
	Records int    `json:"records"`
	Digest  string `json:"digest"`
	Cluster string `json:"cluster"` // the id that the cluster has from then on
}

// RestoreRef names a restore.
type RestoreRef struct {
	ID string `json:"id"`
}

// restoring is the record of a restore under way.
type restoring struct {
	ID      string             `json:"id"`
	By      string             `json:"by"`
	Begun   string             `json:"begun"`
	Backup  model.BackupHeader `json:"backup"`
	Records int                `json:"records"` // so far
}

var keyRestore = []byte("restore")

func restoreOps() map[Op]op {
	return map[Op]op{
		OpRestoreBegin:  atLevel(1, beginRestore, RestoreBegin{ID: "sample"}),
		OpRestorePut:    atLevel(1, putRestore, RestorePut{ID: "sample"}),
		OpRestoreCommit: atLevel(1, commitRestore, RestoreCommit{ID: "sample"}),
		OpRestoreDrop:   atLevel(1, dropRestore, RestoreRef{ID: "sample"}),
	}
}

// Untouched says whether a cluster is new: nothing was made in it yet but its
// first user and its members.
func (v *View) Untouched() (bool, error) { return untouched(v.tx), nil }

func untouched(tx *bolt.Tx) bool {
	for _, key := range [][]byte{keyStaging, keyUpgrade, keyRelease} {
		if tx.Bucket(bucketRecords).Get(key) != nil {
			return false
		}
	}
	return fewer(tx, bucketProfiles, 1) && fewer(tx, bucketHistory, 1) && fewer(tx, bucketUsers, 2)
}

// fewer says whether a bucket holds fewer than so many records.
func fewer(tx *bolt.Tx, bucket []byte, than int) bool {
	n, c := 0, tx.Bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil && n < than; k, _ = c.Next() {
		n++
	}
	return n < than
}

func beginRestore(e entry, c RestoreBegin) error {
	if c.ID == "" || !untouched(e.tx) {
		return ErrConflict
	}
	if err := emptyBucket(e.tx, bucketRestore); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyRestore, restoring{ID: c.ID, By: c.By, Begun: e.at, Backup: c.Backup})
}

// restoreIn is the restore under way, if it is the one of that id.
func restoreIn(tx *bolt.Tx, id string) (restoring, error) {
	r, ok, err := get[restoring](tx, bucketRecords, keyRestore)
	if err == nil && (!ok || r.ID != id) {
		err = ErrConflict
	}
	return r, err
}

func putRestore(e entry, c RestorePut) error {
	r, err := restoreIn(e.tx, c.ID)
	if err != nil {
		return err
	}
	if r.Records != c.Have {
		return ErrConflict
	}
	for _, one := range c.Records {
		place := one.Place()
		if !backedUp([]byte(one.Bucket)) || len(one.Key) == 0 || len(place) > keyLimit || len(one.Value) == 0 {
			return ErrInvalid
		}
		if err := e.tx.Bucket(bucketRestore).Put(place, one.Value); err != nil {
			return err
		}
	}
	r.Records += len(c.Records)
	return put(e.tx, bucketRecords, keyRestore, r)
}

// commitRestore is one transaction on each member: the records are the old ones
// or the restored ones. What belongs to the cluster that they came from does not
// come, and what is under way here ends.
func commitRestore(e entry, c RestoreCommit) error {
	r, err := restoreIn(e.tx, c.ID)
	if err != nil {
		return err
	}
	digest, err := bucketDigest(e.tx, bucketRestore)
	if err != nil {
		return err
	}
	if r.Records != c.Records || digest != c.Digest || c.Cluster == "" || !untouched(e.tx) {
		return ErrConflict
	}
	cluster, err := must[model.Cluster](e.tx, bucketRecords, keyCluster)
	if err != nil {
		return err
	}
	for _, bucket := range append(backup.Kinds(), string(bucketTokens), string(bucketJobs)) {
		if err := emptyBucket(e.tx, []byte(bucket)); err != nil {
			return err
		}
	}
	if err := swapIn(e.tx); err != nil {
		return err
	}
	if err := e.tx.Bucket(bucketRecords).Delete(keyConverted); err != nil { // they may be of any form
		return err
	}
	cluster.ID = c.Cluster
	return put(e.tx, bucketRecords, keyCluster, cluster)
}

// swapIn moves what has come to where it belongs.
func swapIn(tx *bolt.Tx) error {
	err := tx.Bucket(bucketRestore).ForEach(func(place, value []byte) error {
		bucket, key, _ := bytes.Cut(place, []byte{0})
		return tx.Bucket(bucket).Put(key, value)
	})
	if err != nil {
		return fmt.Errorf("swap restored records in: %w", err)
	}
	return endRestore(tx)
}

func dropRestore(e entry, c RestoreRef) error {
	if _, err := restoreIn(e.tx, c.ID); err != nil {
		return err
	}
	return endRestore(e.tx)
}

func endRestore(tx *bolt.Tx) error {
	if err := emptyBucket(tx, bucketRestore); err != nil {
		return err
	}
	return tx.Bucket(bucketRecords).Delete(keyRestore)
}

func emptyBucket(tx *bolt.Tx, bucket []byte) error {
	if err := tx.DeleteBucket(bucket); err != nil {
		return fmt.Errorf("empty bucket %s: %w", bucket, err)
	}
	_, err := tx.CreateBucket(bucket)
	return err
}

// bucketDigest is the digest of a backup's records where they lie in one bucket.
func bucketDigest(tx *bolt.Tx, bucket []byte) (string, error) {
	sum := sha256.New()
	err := tx.Bucket(bucket).ForEach(func(place, value []byte) error {
		addSized(sum, place, value)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// Restoring is the id of the restore under way and when it began, or "".
func (v *View) Restoring() (id, begun string, err error) {
	r, _, err := get[restoring](v.tx, bucketRecords, keyRestore)
	return r.ID, r.Begun, err
}

package store

import (
	"encoding/json"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// The records are JSON values in flat buckets. One-of-a-kind records live in
// bucketRecords under their names; the others in a bucket of their kind.
var (
	bucketMeta     = []byte("meta")
	bucketRecords  = []byte("records")
	bucketMembers  = []byte("members")
	bucketUsers    = []byte("users")
	bucketTokens   = []byte("tokens")
	bucketProfiles = []byte("profiles")
	bucketHistory  = []byte("history") // upgrades that ended, newest first
	bucketJobs     = []byte("jobs")
	bucketActs     = []byte("acts")    // the audit trail
	bucketRestore  = []byte("restore") // records of a backup that are not swapped in yet
	bucketAnswers  = []byte("answers") // request id to answer
	bucketOrder    = []byte("order")   // and in which order to forget them
)

var (
	keyCluster = []byte("cluster")
	keyStaging = []byte("staging")
	keyUpgrade = []byte("upgrade")
	keyCanary  = []byte("canary")
	keyRelease = []byte("release") // the upgrade that finished last, cleared away since
)

// recordBuckets are the buckets of a fresh records.db.
func recordBuckets() [][]byte {
	return [][]byte{bucketMeta, bucketRecords, bucketMembers, bucketUsers, bucketTokens,
		bucketProfiles, bucketHistory, bucketJobs, bucketActs, bucketRestore, bucketAnswers, bucketOrder}
}

// get reads one record strictly; ok is false when there is none.
func get[R any](tx *bolt.Tx, bucket, key []byte) (r R, ok bool, err error) {
	raw := tx.Bucket(bucket).Get(key)
	if raw == nil {
		return r, false, nil
	}
	return r, true, decodeRecord(bucket, key, raw, &r)
}

func decodeRecord(bucket, key, raw []byte, r any) error {
	raw, err := readable(bucket, raw)
	if err == nil {
		err = strict(raw, r)
	}
	if err != nil {
		return fmt.Errorf("read record %s/%s: %w: %w", bucket, key, errUnreadable, err)
	}
	return nil
}

// errUnreadable is of a record that this version cannot read.
var errUnreadable = errors.New("this version cannot read it")

// must is get for a record that a command is about: none is ErrNotFound.
func must[R any](tx *bolt.Tx, bucket, key []byte) (R, error) {
	r, ok, err := get[R](tx, bucket, key)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return r, err
}

// keyLimit bounds the names of records, far below what bbolt takes: a name that
// bbolt refused would be a fault, and stop every member.
const keyLimit = 1024

func put(tx *bolt.Tx, bucket, key []byte, r any) error {
	if len(key) == 0 || len(key) > keyLimit {
		return ErrInvalid
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record %s/%s: %w", bucket, key, err)
	}
	return tx.Bucket(bucket).Put(key, raw)
}

// list reads a whole bucket in the order of its keys.
func list[R any](tx *bolt.Tx, bucket []byte) ([]R, error) {
	all := []R{}
	err := tx.Bucket(bucket).ForEach(func(k, raw []byte) error {
		var r R
		if err := decodeRecord(bucket, k, raw, &r); err != nil {
			return err
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// knownArchives are the digests that the records speak of: no other archive is kept.
func knownArchives(tx *bolt.Tx) ([]string, error) {
	var known []string
	if s, ok, err := get[model.Staging](tx, bucketRecords, keyStaging); err != nil {
		return nil, err
	} else if ok {
		known = append(known, s.Archive.Digest)
	}
	if u, ok, err := get[model.Upgrade](tx, bucketRecords, keyUpgrade); err != nil {
		return nil, err
	} else if ok {
		known = append(known, u.Archive.Digest)
	}
	return known, nil
}

// checkRecords reads every record there is; the trial run's first question.
func checkRecords(tx *bolt.Tx) error {
	for _, check := range []func() error{
		func() error { return checkLevel(tx) },
		func() error { _, err := knownArchives(tx); return err },
		func() error { _, _, err := get[model.Upgrade](tx, bucketRecords, keyRelease); return err },
		func() error { _, _, err := get[model.Canary](tx, bucketRecords, keyCanary); return err },
		func() error { _, err := list[model.Member](tx, bucketMembers); return err },
		func() error { _, err := list[model.User](tx, bucketUsers); return err },
		func() error { _, err := list[model.Token](tx, bucketTokens); return err },
		func() error { _, err := list[model.Profile](tx, bucketProfiles); return err },
		func() error { _, err := list[model.Upgrade](tx, bucketHistory); return err },
		func() error { _, err := list[model.Job](tx, bucketJobs); return err },
		func() error { _, err := list[actRecord](tx, bucketActs); return err },
		func() error { _, _, err := get[restoring](tx, bucketRecords, keyRestore); return err },
		func() error { _, _, err := get[string](tx, bucketRecords, keyHeld); return err },
		func() error { _, _, err := get[[]Converted](tx, bucketRecords, keyConverted); return err },
		func() error { _, _, err := get[[]model.Backup](tx, bucketRecords, keyBackups); return err },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

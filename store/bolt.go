package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

const (
	tmpSuffix = ".tmp"
	// lockWait bounds the wait for a bbolt file that another process still holds.
	lockWait = 5 * time.Second
	// mapped is address space, not memory: while a file fits in it, a long read
	// does not hold up its growth (bbolt, Options.InitialMmapSize).
	mapped = 1 << 30
)

// makeDir makes a directory that survives a crash.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

func openBolt(path string) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         lockWait,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: mapped,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// openOrCreate opens a bbolt file. A new one gets its name only when it is whole:
// bbolt cannot open a file that a crash left half made.
func openOrCreate(path string) (*bolt.DB, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		err = createBolt(path)
	}
	if err != nil {
		return nil, err
	}
	return openBolt(path)
}

func createBolt(path string) error {
	tmp := path + tmpSuffix
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	db, err := openBolt(tmp)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	return durable.Rename(tmp, path)
}

// makeBuckets makes the top-level buckets that are not there yet.
func makeBuckets(db *bolt.DB, names ...[]byte) error {
	if hasBuckets(db, names) {
		return nil
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range names {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("make bucket %s: %w", name, err)
			}
		}
		return nil
	})
}

// hasBuckets saves an open that has nothing to add its write.
func hasBuckets(db *bolt.DB, names [][]byte) bool {
	missing := errors.New("missing")
	return db.View(func(tx *bolt.Tx) error {
		for _, name := range names {
			if tx.Bucket(name) == nil {
				return missing
			}
		}
		return nil
	}) == nil
}

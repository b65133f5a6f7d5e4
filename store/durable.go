package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	tmpSuffix = ".tmp"
	// lockWait bounds the wait for a bbolt file that another process still holds.
	lockWait = 5 * time.Second
	// mapped is address space, not memory: while a file fits in it, a long read
	// does not hold up its growth (bbolt, Options.InitialMmapSize).
	mapped = 1 << 30
)

// replaceFile writes path so that a crash leaves the old content or the new.
func replaceFile(path string, write func(io.Writer) error) error {
	tmp := path + tmpSuffix
	if err := writeFile(tmp, write); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return renameFile(tmp, path)
}

// writeFile writes and syncs a file that nobody looks at before it has its name.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return f.Close()
}

func renameFile(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// makeDir makes a directory that survives a crash.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
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
	return renameFile(tmp, path)
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

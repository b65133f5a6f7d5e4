package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

// Copy writes the records as of one moment to path, durably. Archives and log
// stay out of it. For the trial run of another version, see OpenCopy.
func (s *Store) Copy(path string) error {
	err := s.view(func(tx *bolt.Tx) error {
		return durable.Write(path, 0o600, func(w io.Writer) error {
			_, err := tx.WriteTo(w)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("copy the records to %s: %w", path, err)
	}
	return nil
}

// Copy is a copy of records, opened alone.
type Copy struct{ db *bolt.DB }

// OpenCopy opens what Store.Copy wrote, perhaps of another version.
func OpenCopy(path string) (*Copy, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open copy of the records: %w", err)
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	if err := makeBuckets(db, recordBuckets()...); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Copy{db: db}, nil
}

// Close closes the copy and leaves the file.
func (c *Copy) Close() error { return c.db.Close() }

// View reads the copy.
func (c *Copy) View(f func(*View) error) error {
	return c.db.View(func(tx *bolt.Tx) error { return f(&View{tx: tx}) })
}

// Check reads every record.
func (c *Copy) Check() error { return c.db.View(checkRecords) }

// Try applies one command of every type that this version knows, each in a
// transaction that is taken back. What they are answered does not matter: the
// error is the first that could not be applied.
func (c *Copy) Try() error {
	all := samples()
	slices.SortFunc(all, func(a, b Command) int { return cmp.Compare(a.Op, b.Op) })
	table := ops()
	for _, command := range all {
		if err := c.try(table, command); err != nil {
			return fmt.Errorf("try %s: %w", command.Op, err)
		}
	}
	return nil
}

func (c *Copy) try(table map[Op]op, command Command) error {
	err := c.db.Update(func(tx *bolt.Tx) error {
		if _, err := apply(tx, table, positionIn(tx).index+1, command.Encode()); err != nil {
			return err
		}
		return errJustTrying
	})
	if errors.Is(err, errJustTrying) {
		return nil
	}
	return err
}

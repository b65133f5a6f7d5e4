package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// Copy writes the records as of one moment to path, durably. Archives and log
// stay out of it. For the trial run of another version, see OpenCopy.
func (s *Store) Copy(path string) error {
	err := s.view(func(tx *bolt.Tx) error {
		return durable.Write(path, 0o600, func(w io.Writer) error {
			_, err := tx.WriteTo(&paced{to: w, began: time.Now()})
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("copy the records to %s: %w", path, err)
	}
	return nil
}

// paced syncs every piece and then leaves the disk to others for as long as it
// has used it itself: a member that copies its records also serves.
type paced struct {
	to    io.Writer
	piece int       // bytes since
	began time.Time // the last pause
}

const pieceSize = 4 << 20

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if p.piece += n; err != nil || p.piece < pieceSize {
		return n, err
	}
	if f, is := p.to.(*os.File); is {
		err = f.Sync()
	}
	time.Sleep(time.Since(p.began))
	p.piece, p.began = 0, time.Now()
	return n, err
}

// RecordsSize is the size of the records' file, in bytes.
func (s *Store) RecordsSize() (size int64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return size, err
}

// Copy is a copy of records, opened alone.
type Copy struct{ db *bolt.DB }

// OpenCopy opens what Store.Copy wrote, perhaps of another version. What is
// changed in it is not synced: a copy does not outlive a crash of the machine.
func OpenCopy(path string) (*Copy, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open copy of the records: %w", err)
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	db.NoSync = true
	if err := makeBuckets(db, recordBuckets()...); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Copy{db: db}, nil
}

// NewCopy makes records with nothing in them.
func NewCopy(path string) (*Copy, error) {
	if err := createBolt(path); err != nil {
		return nil, fmt.Errorf("make records: %w", err)
	}
	return OpenCopy(path)
}

// Close closes the copy and leaves the file.
func (c *Copy) Close() error { return c.db.Close() }

// View reads the copy.
func (c *Copy) View(f func(*View) error) error {
	return c.db.View(func(tx *bolt.Tx) error { return f(&View{tx: tx}) })
}

// Index is the index in Raft's log that the copy is as of.
func (c *Copy) Index() (index uint64, err error) {
	err = c.View(func(v *View) error {
		index = v.Index()
		return nil
	})
	return index, err
}

// Digest is View.Digest of the copy.
func (c *Copy) Digest() (digest string, err error) {
	err = c.View(func(v *View) error {
		digest, err = v.Digest()
		return err
	})
	return digest, err
}

// Check reads every record.
func (c *Copy) Check() error { return c.db.View(checkRecords) }

// Try applies one command of every type that this version knows, each in a
// transaction that is taken back. What they are answered does not matter: the
// error is the first that could not be applied.
func (c *Copy) Try() error {
	table := ops()
	for _, command := range samples() {
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

// Samples is one command of every type that the log of a cluster may hold, by the
// names of the types.
func Samples(cluster model.Cluster) []Command {
	return slices.DeleteFunc(samples(), func(c Command) bool { return !open(c.Op, cluster) })
}

// open says whether the log of a cluster may hold a command, and so every member
// reads it. What opens a level is open one level earlier than it can be read.
func open(name Op, cluster model.Cluster) bool {
	return Gate(name, cluster) == nil && (name != OpClusterLevel || cluster.Level > 0)
}

// samples is one command of every type, for the question of a trial run: can a
// version apply what the log may hold?
func samples() []Command {
	var all []Command
	for name, row := range ops() {
		all = append(all, New(name, row.sample))
	}
	slices.SortFunc(all, func(a, b Command) int { return cmp.Compare(a.Op, b.Op) })
	return all
}

package store

import (
	"errors"
	"log/slog"
	"os"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

// ErrClosed is returned for anything asked of a store after Close.
var ErrClosed = errors.New("the store is closed")

// vault holds the live generation and lets another take its place while
// readers are out: they finish on the old files, which close after them.
type vault struct {
	log *slog.Logger

	// mu is held for reading while a transaction begins or a write lasts, for
	// writing while files change places.
	mu  sync.RWMutex
	gen *generation // nil once closed

	leaving sync.WaitGroup // what is out of use, and closing
}

func (v *vault) use(f func(*generation) error) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.gen == nil {
		return ErrClosed
	}
	return f(v.gen)
}

// name is that of the live generation.
func (v *vault) name() (name string, err error) {
	err = v.use(func(g *generation) error {
		name = g.name
		return nil
	})
	return name, err
}

// records begins to read the records; the caller ends it.
func (v *vault) records() (r *reader, err error) {
	err = v.use(func(g *generation) error {
		r, err = g.records.read()
		return err
	})
	return r, err
}

// update changes the records.
func (v *vault) update(f func(*bolt.Tx) error) error {
	return v.use(func(g *generation) error { return g.records.Update(f) })
}

// archive begins to read an archive; the caller ends it. ErrNotFound when there
// is none.
func (v *vault) archive(digest string) (r *reader, err error) {
	err = v.use(func(g *generation) error {
		f, err := g.archive(digest, false)
		if err != nil {
			return err
		}
		r, err = f.read()
		return err
	})
	return r, err
}

// put adds chunks to an archive, which is made if need be.
func (v *vault) put(digest string, chunks []Chunk) error {
	return v.use(func(g *generation) error {
		f, err := g.archive(digest, true)
		if err != nil {
			return err
		}
		return putChunks(f.DB, chunks)
	})
}

// place gives a file its name among the archives, unless there is one already.
func (v *vault) place(path, digest string) (placed bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gen == nil {
		return false, ErrClosed
	}
	to := v.gen.archivePath(digest)
	if _, err := os.Stat(to); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	return true, durable.Rename(path, to)
}

// drop removes an archive; those who read it now finish undisturbed.
func (v *vault) drop(digest string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gen == nil {
		return ErrClosed
	}
	if f := v.gen.forget(digest); f != nil {
		v.retire(f.close)
	}
	if err := os.Remove(v.gen.archivePath(digest)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.SyncDir(v.gen.archivesPath())
}

// swap makes next the live generation and hands back the one before.
func (v *vault) swap(next *generation) *generation {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.gen
	v.gen = next
	return old
}

// retire closes in the background: readers may be out.
func (v *vault) retire(closeFile func() error) {
	v.leaving.Go(func() {
		if err := closeFile(); err != nil {
			v.log.Warn("close a file that is out of use", "error", err)
		}
	})
}

// close waits for every reader.
func (v *vault) close() error {
	old := v.swap(nil)
	v.leaving.Wait()
	if old == nil {
		return nil
	}
	return old.close()
}

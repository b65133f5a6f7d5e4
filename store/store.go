package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// Options are what Open needs besides a directory. The zero value works.
type Options struct {
	Log *slog.Logger // nil discards
}

// Store is one member's memory. Its methods may be called from any goroutine,
// where they do not say otherwise.
type Store struct {
	slog     *slog.Logger
	state    string // the directory of generations
	table    map[Op]op
	vault    *vault
	shelf    *shelf
	log      *Log
	progress *progress
	digests  *digests

	mu      sync.Mutex
	arrived map[string]*arrival // snapshots received and not restored yet, by id
}

// Open opens the store below dir, makes it in an empty directory, and mends
// what a crash left. One process may hold it at a time.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{slog: o.Log, state: filepath.Join(dir, "state"), table: ops(), arrived: map[string]*arrival{}, digests: newDigests()}
	if s.slog == nil {
		s.slog = slog.New(slog.DiscardHandler)
	}
	s.vault, s.shelf = &vault{log: s.slog}, newShelf(s.state)
	if err := s.open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store in %s: %w", dir, err), s.Close())
	}
	return s, nil
}

func (s *Store) open(dir string) (err error) {
	if err := makeDir(s.state); err != nil {
		return err
	}
	// The log first: bbolt's lock on it keeps a second process from tidying up here.
	if s.log, err = openLog(filepath.Join(dir, "raft.db"), s.vault); err != nil {
		return err
	}
	used, err := s.log.used()
	if err != nil {
		return err
	}
	gen, err := liveGeneration(s.state, !used)
	if err != nil {
		return err
	}
	s.vault.swap(gen)
	if err := s.readProgress(); err != nil {
		return err
	}
	if err := s.mend(gen); err != nil {
		return err
	}
	if err := s.scribble(); err != nil {
		return err
	}
	return s.tryAgain()
}

func (s *Store) readProgress() error {
	return s.view(func(tx *bolt.Tx) error {
		s.progress = newProgress(positionIn(tx))
		return nil
	})
}

// Close waits for readers and for snapshots that are being sent. Raft must be
// shut down before. May be called again.
func (s *Store) Close() error {
	if s.progress != nil {
		s.progress.end()
	}
	s.digests.close()
	err := errors.Join(s.shelf.close(), s.vault.close())
	if s.log != nil {
		err = errors.Join(err, s.log.close())
	}
	return err
}

// Applied is the index in Raft's log of the last entry applied here.
func (s *Store) Applied() uint64 { return s.progress.position().index }

// WaitApplied returns nil once the entry at index is applied here. It fails when
// ctx ends, the store has stopped (StoppedError) or is closed.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	return s.progress.wait(ctx, index)
}

// Changed is closed at the next change of the records; ask again after that,
// and before reading, so that no change is missed.
func (s *Store) Changed() <-chan struct{} { return s.progress.change() }

// View reads the records as of one moment. f may be called again only by
// calling View again, and must not keep what it was handed.
func (s *Store) View(f func(*View) error) error {
	return s.view(func(tx *bolt.Tx) error { return f(&View{tx: tx}) })
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	tx, err := s.vault.records()
	if err != nil {
		return err
	}
	defer tx.end()
	return f(tx.Tx)
}

package store

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// StoppedError says that the store stopped: an entry of the log, or the records
// in a snapshot, could not be read or written here. Guessing or skipping would make this member's records
// differ from the others'. A version that can read the entry goes on from there.
type StoppedError struct {
	Index  uint64 `json:"index"`
	Reason string `json:"reason"`

	disk bool // the entry can be applied: it was its disk that could not keep it
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("stopped at log entry %d: %s", e.Index, e.Reason)
}

// Fault is a *StoppedError once the store has stopped, nil normally.
func (s *Store) Fault() error { return s.progress.fault() }

// Stopped is closed when Fault begins to be one.
func (s *Store) Stopped() <-chan struct{} { return s.progress.halted }

func (s *Store) stop(stop *StoppedError) {
	s.slog.Error("store stopped", "index", stop.Index, "reason", stop.Reason)
	s.progress.halt(stop)
	// If it is the disk that fails, this will fail too; the next start finds out again.
	err := s.vault.update(func(tx *bolt.Tx) error { return putStop(tx, stop) })
	if err != nil {
		s.slog.Error("note that the store stopped", "error", err)
	}
}

// Mended is nil when what stopped the store was its disk, and that keeps again
// what it is given: a new life of this version goes on where it stopped. It may
// be called again.
func (s *Store) Mended() error {
	var stop *StoppedError
	if !errors.As(s.Fault(), &stop) || !stop.disk {
		return errors.New("it was not the disk that stopped the store")
	}
	return s.vault.update(func(tx *bolt.Tx) error { return putStop(tx, stop) })
}

// applicable says whether entries can be applied here, without keeping them.
func (s *Store) applicable(entries []Entry) bool {
	err := s.vault.update(func(tx *bolt.Tx) error {
		if _, err := s.applyIn(tx, entries, make([]Answer, len(entries))); err != nil {
			return err
		}
		return errJustTrying
	})
	return errors.Is(err, errJustTrying)
}

// errJustTrying ends a transaction that must not last.
var errJustTrying = errors.New("just trying")

// tryAgain looks, when the store stopped in an earlier life, whether it can go
// on now: a newer version may read what an older one could not.
func (s *Store) tryAgain() error {
	var stop *StoppedError
	err := s.view(func(tx *bolt.Tx) (err error) {
		stop, err = stopIn(tx)
		return err
	})
	if err != nil || stop == nil {
		return err
	}
	if err := s.rehearse(stop.Index); err != nil {
		s.slog.Error("store is still stopped", "index", stop.Index, "reason", err)
		s.progress.halt(&StoppedError{Index: stop.Index, Reason: err.Error()})
		return nil
	}
	s.slog.Info("store goes on where it stopped", "index", stop.Index)
	return s.vault.update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyStop) })
}

// rehearse applies the log up to an index and takes it all back.
func (s *Store) rehearse(through uint64) error {
	entries, err := s.pending(through)
	if err != nil {
		return err
	}
	err = s.vault.update(func(tx *bolt.Tx) error {
		if _, err := s.applyIn(tx, entries, make([]Answer, len(entries))); err != nil {
			return err
		}
		return errJustTrying
	})
	if errors.Is(err, errJustTrying) {
		return nil
	}
	return err
}

// pending are the commands in the log that are not applied yet, up to an index.
// An entry that is gone from the log will come again, so it stops nothing.
func (s *Store) pending(through uint64) ([]Entry, error) {
	var entries []Entry
	for i := s.Applied() + 1; i <= through; i++ {
		var l raft.Log
		stub, err := s.log.entry(i, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		if stub == nil && l.Type == raft.LogCommand {
			entries = append(entries, Entry{Index: l.Index, Term: l.Term, Data: l.Data})
		}
	}
	return entries, nil
}

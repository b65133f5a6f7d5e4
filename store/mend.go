package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// mend makes log, records and archives fit each other again after a crash, and
// removes archives that nobody speaks of. Raft is not running yet.
func (s *Store) mend(g *generation) error {
	at := s.progress.position()
	if err := s.log.fit(g.name, at); err != nil {
		return err
	}
	known, err := s.known()
	if err != nil {
		s.slog.Error("archives are not tidied up: the records cannot be read", "error", err)
		return nil
	}
	if err := s.compact(at, known); err != nil {
		return err
	}
	stubs, err := s.log.stubs(^uint64(0))
	if err != nil {
		return err
	}
	for digest := range stubs {
		known[digest] = true
	}
	return g.keepOnly(known)
}

// known are the archives that the records speak of.
func (s *Store) known() (map[string]bool, error) {
	known := map[string]bool{}
	err := s.view(func(tx *bolt.Tx) error {
		digests, err := knownArchives(tx)
		for _, digest := range digests {
			known[digest] = true
		}
		return err
	})
	return known, err
}

// compact cuts applied entries from the log when they are all that still holds
// an archive which the records have dropped.
func (s *Store) compact(at position, known map[string]bool) error {
	stubs, err := s.log.stubs(at.index)
	if err != nil {
		return err
	}
	for digest := range known {
		delete(stubs, digest)
	}
	if len(stubs) == 0 || !s.configured() {
		return nil
	}
	s.slog.Info("log is compacted for archives that are dropped", "through", at.index)
	return s.log.DeleteRange(0, at.index)
}

// configured says whether the records can stand in for the log: Raft needs its
// configuration from one of them.
func (s *Store) configured() bool {
	err := s.view(func(tx *bolt.Tx) error {
		if _, index := configurationIn(tx); index == 0 {
			return ErrNotFound
		}
		return nil
	})
	return err == nil
}

// fit empties the log if the records have gone another way: after a snapshot
// was installed and before Raft emptied the log.
func (l *Log) fit(home string, at position) error {
	if l.last.Load() == 0 {
		return nil
	}
	follows, err := l.follows(home, at)
	if err != nil || follows {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.change(emptyLog)
}

// follows says whether the log goes on where the records are, or before.
func (l *Log) follows(home string, at position) (ok bool, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		ok = bytes.Equal(tx.Bucket(bucketAbout).Get(keyHome), []byte(home))
		return nil
	})
	if err != nil || !ok {
		return false, err
	}
	if first := l.first.Load(); first > at.index+1 {
		return false, fmt.Errorf("the log begins at entry %d, the records end at %d", first, at.index)
	}
	return l.last.Load() >= at.index && l.agrees(at), nil
}

// agrees says whether the entry at that index, if the log has it, has that term.
func (l *Log) agrees(at position) bool {
	var entry raft.Log
	_, err := l.entry(at.index, &entry)
	if errors.Is(err, raft.ErrLogNotFound) {
		return true
	}
	return err == nil && entry.Term == at.term
}

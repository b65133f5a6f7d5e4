package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

var (
	bucketLog    = []byte("log")
	bucketStable = []byte("stable")
	bucketAbout  = []byte("about")
	keyHome      = []byte("generation") // in bucketAbout: the generation that the entries continue
)

// Log is Raft's log and stable store. The payload of a chunk goes to its
// archive's file, where it is synced before the log says that it is there.
type Log struct {
	db    *bolt.DB
	vault *vault

	mu          sync.Mutex // held while the log or the set of archives is changed
	first, last atomic.Uint64
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
	_ raft.StableStore       = (*Log)(nil)
)

// Log is this member's part in Raft's log. One Raft may use it at a time.
func (s *Store) Log() *Log { return s.log }

func openLog(path string, v *vault) (*Log, error) {
	db, err := openOrCreate(path)
	if err != nil {
		return nil, err
	}
	l := &Log{db: db, vault: v}
	if err := makeBuckets(db, bucketLog, bucketStable, bucketAbout); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	err = db.View(func(tx *bolt.Tx) error {
		l.setEnds(ends(tx))
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

// ends are the first and last index, 0 when there is none.
func ends(tx *bolt.Tx) (first, last uint64) {
	c := tx.Bucket(bucketLog).Cursor()
	low, _ := c.First()
	high, _ := c.Last()
	return indexOf(low), indexOf(high)
}

func (l *Log) setEnds(first, last uint64) {
	l.first.Store(first)
	l.last.Store(last)
}

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

func indexOf(key []byte) uint64 {
	if key == nil {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

// FirstIndex is the lowest index in the log, 0 when it is empty.
func (l *Log) FirstIndex() (uint64, error) { return l.first.Load(), nil }

// LastIndex is the highest index in the log, 0 when it is empty.
func (l *Log) LastIndex() (uint64, error) { return l.last.Load(), nil }

// IsMonotonic makes Raft empty the log when a snapshot was installed.
func (l *Log) IsMonotonic() bool { return true }

// GetLog reads one entry, with the payload back in it. What is not here, be it
// the entry or the payload, is a bare raft.ErrLogNotFound: Raft compares, and
// then sends a snapshot.
func (l *Log) GetLog(index uint64, out *raft.Log) error {
	s, err := l.entry(index, out)
	if err != nil || s == nil {
		return err
	}
	out.Data, err = l.rehydrate(s)
	if err != nil && err != raft.ErrLogNotFound {
		err = fmt.Errorf("read log entry %d: %w", index, err)
	}
	return err
}

func (l *Log) entry(index uint64, out *raft.Log) (s *stub, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketLog).Get(indexKey(index))
		if raw == nil {
			return raft.ErrLogNotFound
		}
		s, err = decodeEntry(raw, out)
		if err != nil {
			return fmt.Errorf("read log entry %d: %w", index, err)
		}
		return nil
	})
	return s, err
}

// StoreLog is StoreLogs of one.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries durably: payloads first, then the entries. It may
// be called again with the same entries.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for digest, chunks := range chunksIn(logs) {
		if err := l.vault.put(hex.EncodeToString(digest[:]), chunks); err != nil {
			return fmt.Errorf("store log entries from %d: %w", logs[0].Index, err)
		}
	}
	home, err := l.vault.name()
	if err != nil {
		return err
	}
	return l.change(func(tx *bolt.Tx) error { return appendLogs(tx, home, logs) })
}

// change runs f in one transaction and keeps the ends in step. They are read
// after it: within a transaction that has emptied several leaves, bbolt's
// Cursor.Last looks for a fuller one for ever (cursor.go, prev).
func (l *Log) change(f func(*bolt.Tx) error) error {
	if err := l.db.Update(f); err != nil {
		return err
	}
	return l.db.View(func(tx *bolt.Tx) error {
		l.setEnds(ends(tx))
		return nil
	})
}

func appendLogs(tx *bolt.Tx, home string, logs []*raft.Log) error {
	if err := settle(tx, home); err != nil {
		return err
	}
	b := tx.Bucket(bucketLog)
	b.FillPercent = 1 // entries come in order
	_, end := ends(tx)
	for _, log := range logs {
		if end != 0 && log.Index > end+1 {
			return fmt.Errorf("store log entry %d: the entry before it is %d", log.Index, end)
		}
		if err := b.Put(indexKey(log.Index), encodeEntry(log)); err != nil {
			return err
		}
		end = max(end, log.Index)
	}
	return nil
}

// settle notes which generation the entries continue, and drops those that
// continue another: Raft empties the log when a snapshot was installed, but a
// crash or an error may have come between.
func settle(tx *bolt.Tx, home string) error {
	about := tx.Bucket(bucketAbout)
	if bytes.Equal(about.Get(keyHome), []byte(home)) {
		return nil
	}
	if err := emptyLog(tx); err != nil {
		return err
	}
	return about.Put(keyHome, []byte(home))
}

func emptyLog(tx *bolt.Tx) error {
	if err := tx.DeleteBucket(bucketLog); err != nil {
		return err
	}
	_, err := tx.CreateBucket(bucketLog)
	return err
}

// used says whether the log ever had an entry: records must be there then.
func (l *Log) used() (used bool, err error) {
	err = l.db.View(func(tx *bolt.Tx) error {
		used = tx.Bucket(bucketAbout).Get(keyHome) != nil
		return nil
	})
	return used, err
}

// DeleteRange removes entries from min to max, both included. Payloads stay:
// they are the archive's.
func (l *Log) DeleteRange(min, max uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.change(func(tx *bolt.Tx) error { return deleteRange(tx, min, max) })
}

func deleteRange(tx *bolt.Tx, from, to uint64) error {
	b := tx.Bucket(bucketLog)
	var keys [][]byte // first, since a deletion moves what a cursor stands on
	c := b.Cursor()
	for k, _ := c.Seek(indexKey(from)); k != nil && indexOf(k) <= to; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) close() error { return l.db.Close() }

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/internal/durable"
)

// receipt is a snapshot on its way in, unpacked as it comes into a generation
// that has no name yet.
type receipt struct {
	state string
	name  string
	meta  raft.SnapshotMeta

	pipe   *io.PipeWriter
	header streamHeader
	done   chan error
}

func (s *Store) receive(meta raft.SnapshotMeta) (*receipt, error) {
	r := &receipt{state: s.state, name: generationName(meta.Index), meta: meta, done: make(chan error, 1)}
	if err := makeDir(filepath.Join(r.dir(), archivesDir)); err != nil {
		return nil, err
	}
	in, out := io.Pipe()
	r.pipe = out
	go func() {
		var err error
		r.header, err = unpack(in, r.dir())
		in.CloseWithError(err)
		r.done <- err
	}()
	return r, nil
}

func (r *receipt) dir() string { return filepath.Join(r.state, r.name+tmpSuffix) }

func (r *receipt) Write(p []byte) (int, error) { return r.pipe.Write(p) }

// finish makes the generation whole and gives it its name.
func (r *receipt) finish() (*arrival, error) {
	r.pipe.Close()
	err := <-r.done
	if err == nil {
		err = r.adopt()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.dir()))
	}
	return &arrival{name: r.name, meta: r.meta}, nil
}

func (r *receipt) adopt() error {
	if r.header.Index != r.meta.Index || r.header.Term != r.meta.Term {
		return fmt.Errorf("it is of entry %d in term %d, entry %d in term %d was promised",
			r.header.Index, r.header.Term, r.meta.Index, r.meta.Term)
	}
	if err := adoptRecords(r.dir(), r.meta); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Join(r.dir(), archivesDir), r.dir()} {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return crash.Point("install-name", func() error {
		return durable.Rename(r.dir(), filepath.Join(r.state, r.name))
	})
}

// adoptRecords makes the records this member's own: they know what Raft knows
// of them, and this version can read every one.
func adoptRecords(dir string, meta raft.SnapshotMeta) error {
	db, err := openBolt(filepath.Join(dir, recordsFile))
	if err != nil {
		return err
	}
	err = errors.Join(
		makeBuckets(db, recordBuckets()...),
		db.Update(func(tx *bolt.Tx) error { return adoptIn(tx, meta) }))
	return errors.Join(err, db.Close())
}

func adoptIn(tx *bolt.Tx, meta raft.SnapshotMeta) error {
	if err := tx.Bucket(bucketMeta).Delete(keyStop); err != nil {
		return err
	}
	if err := witnessIn(tx, meta); err != nil {
		return err
	}
	return checkRecords(tx)
}

func (r *receipt) cancel() error {
	r.pipe.CloseWithError(errors.New("cancelled"))
	<-r.done
	return os.RemoveAll(r.dir())
}

// arrival is a snapshot that was received whole and waits for Restore. Raft
// carries it there as if it were its content.
type arrival struct {
	name string
	meta raft.SnapshotMeta
}

// Read refuses: the content is in its place already.
func (a *arrival) Read([]byte) (int, error) {
	return 0, errors.New("a received snapshot is restored, not read")
}

// Close has nothing to close.
func (a *arrival) Close() error { return nil }

func (s *Store) keepArrival(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrived[a.meta.ID] = a
}

func (s *Store) arrival(id string) *arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived[id]
}

// Restore is raft.FSM's Restore: it makes the snapshot that has arrived the
// live state. Readers of the old state finish on it.
func (s *Store) Restore(content io.ReadCloser) error {
	for {
		wrapper, wrapped := content.(raft.ReadCloserWrapper)
		if !wrapped {
			break
		}
		content = wrapper.WrappedReadCloser()
	}
	a, ok := content.(*arrival)
	if !ok {
		return fmt.Errorf("restore snapshot: %T did not come through the store", content)
	}
	if err := s.flip(a); err != nil {
		return fmt.Errorf("restore snapshot at %d: %w", a.meta.Index, err)
	}
	return nil
}

func (s *Store) flip(a *arrival) error {
	next, err := openGeneration(s.state, a.name)
	if err != nil {
		return err
	}
	err = crash.Point("install-flip", func() error { return pointTo(s.state, a.name) })
	if err != nil {
		return errors.Join(err, next.close())
	}
	s.mu.Lock()
	delete(s.arrived, a.meta.ID)
	s.mu.Unlock()
	old := s.vault.swap(next)
	s.progress.move(position{index: a.meta.Index, term: a.meta.Term}, true)
	s.vault.retire(old.close)
	s.removeOld(old)
	return nil
}

// removeOld may fail: what is left is removed at the next start.
func (s *Store) removeOld(old *generation) {
	err := crash.Point("install-remove", func() error { return os.RemoveAll(old.dir) })
	if err != nil {
		s.slog.Warn("remove the state before the snapshot", "error", err)
	}
}

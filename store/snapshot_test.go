package store

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// taken is a snapshot of s as it goes over the wire.
func (s *ship) taken() (raft.SnapshotMeta, []byte) {
	s.t.Helper()
	list, err := s.Snapshots().List()
	if err != nil || len(list) != 1 {
		s.t.Fatalf("%d snapshots, %v", len(list), err)
	}
	meta, r, err := s.Snapshots().Open(list[0].ID)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil || int64(len(content)) != meta.Size {
		s.t.Fatalf("read %d bytes of %d, %v", len(content), meta.Size, err)
	}
	return *meta, content
}

// install does what Raft does with a snapshot from the leader, up to the log.
func (s *ship) install(meta raft.SnapshotMeta, content []byte) error {
	s.t.Helper()
	sink, err := s.receiveAll(meta, content)
	if err != nil {
		return err
	}
	_, r, err := s.Snapshots().Open(sink.ID())
	if err != nil {
		return err
	}
	defer r.Close()
	return s.Restore(wrapped{r})
}

func (s *ship) receiveAll(meta raft.SnapshotMeta, content []byte) (raft.SnapshotSink, error) {
	sink, err := s.Snapshots().Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(sink, bytes.NewReader(content)); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return sink, sink.Close()
}

// wrapped is how Raft hands a snapshot to Restore.
type wrapped struct{ io.ReadCloser }

func (w wrapped) WrappedReadCloser() io.ReadCloser { return w.ReadCloser }

// laden is a store with a staged archive, three entries after which are chunks.
func laden(t testing.TB, c cargo) *ship {
	s := newShip(t)
	s.accepted(configAt(1, "n1", "n2"), commandAt(2, profile("a")), commandAt(3, c.announced()))
	s.accepted(c.logs(4)...)
	s.accepted(commandAt(4+uint64(len(c.chunks())), profile("b")))
	return s
}

func TestASnapshotMakesAnotherMemberTheSame(t *testing.T) {
	c := newCargo(3*ChunkSize+5, 1)
	from, to := laden(t, c), newShip(t)
	to.accepted(commandAt(1, profile("old")))
	old := to.live()
	if err := to.install(from.taken()); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		to.want(from.Applied(), "a", "b")
		to.wantArchive(c)
		if from.digest() != to.digest() {
			t.Error("the digests differ")
		}
		theirs, _ := from.Snapshots().List()
		ours, _ := to.Snapshots().List()
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Error(diff)
		}
	}
	check()
	if to.hasFile("state", old) {
		t.Error("the old generation is still there")
	}
	to.reopen()
	check()
}

func TestAfterASnapshotTheLogGoesOnEvenIfItWasNotEmptied(t *testing.T) {
	c := newCargo(ChunkSize, 1)
	from, to := laden(t, c), newShip(t)
	// More entries than the snapshot covers, and stubs whose bytes go with the old generation.
	for i := uint64(1); i < 9; i++ {
		if err := to.Log().StoreLog(commandAt(i, profile("x"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Log().StoreLogs(newCargo(ChunkSize, 2).logs(9)); err != nil {
		t.Fatal(err)
	}
	if err := to.install(from.taken()); err != nil {
		t.Fatal(err)
	}
	to.reopen() // died before Raft emptied the log
	if last, _ := to.Log().LastIndex(); last != 0 {
		t.Errorf("the log ends at %d", last)
	}
	to.accepted(commandAt(6, profile("c")))
	to.reopen()
	to.want(6, "a", "b", "c")
	if last, _ := to.Log().LastIndex(); last != 6 {
		t.Errorf("the log ends at %d", last)
	}
}

func TestWhatRaftFailedToEmptyIsDroppedByTheNextEntry(t *testing.T) {
	from, to := laden(t, newCargo(10, 1)), newShip(t)
	to.commit(commandAt(1, profile("x")), commandAt(2, profile("y")))
	if err := to.install(from.taken()); err != nil {
		t.Fatal(err)
	}
	to.accepted(commandAt(6, profile("c")))
	if first, _ := to.Log().FirstIndex(); first != 6 {
		t.Errorf("the log begins at %d", first)
	}
}

func TestASnapshotThatIsNotWholeChangesNothing(t *testing.T) {
	from, to := laden(t, newCargo(ChunkSize+1, 1)), newShip(t)
	to.accepted(configAt(1, "n2"), commandAt(2, profile("mine")))
	meta, content := from.taken()
	flipped := bytes.Clone(content)
	flipped[len(flipped)/2] ^= 1
	later := meta
	later.Index++
	for name, try := range map[string]struct {
		meta    raft.SnapshotMeta
		content []byte
	}{
		"empty":             {meta, nil},
		"cut in its header": {meta, content[:20]},
		"cut in a file":     {meta, content[:len(content)/2]},
		"cut in its sum":    {meta, content[:len(content)-1]},
		"with a bit turned": {meta, flipped},
		"too long":          {meta, append(bytes.Clone(content), 0)},
		"of another entry":  {later, content},
	} {
		t.Run(name, func(t *testing.T) {
			before, digest := filesBelow(t, to.dir), to.digest()
			if err := to.install(try.meta, try.content); err == nil {
				t.Error("it was installed")
			}
			if diff := cmp.Diff(before, filesBelow(t, to.dir)); diff != "" {
				t.Errorf("files: %s", diff)
			}
			if to.digest() != digest {
				t.Error("the records have changed")
			}
			to.want(2, "mine")
		})
	}
}

func TestTheStoreStopsAtASnapshotOfRecordsThatThisVersionCannotRead(t *testing.T) {
	from, to := newShip(t), newShip(t)
	from.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	err := from.vault.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketProfiles).Put([]byte("b"), []byte(`{"Name":"b","FromTheFuture":1}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.install(from.taken()); err == nil || !strings.Contains(err.Error(), "FromTheFuture") {
		t.Errorf("got %v", err)
	}
	to.want(0)
	to.wantStopped(2)
	select {
	case <-to.Stopped():
	default:
		t.Error("nobody is told that it stopped")
	}
}

func TestAnInterruptedSnapshotIsTidiedUp(t *testing.T) {
	from, to := laden(t, newCargo(ChunkSize, 1)), newShip(t)
	before := filesBelow(t, to.dir)
	meta, content := from.taken()
	sink, err := to.Snapshots().Create(1, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(content[:len(content)/2]); err != nil {
		t.Fatal(err)
	}
	if err := sink.Cancel(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, filesBelow(t, to.dir)); diff != "" {
		t.Errorf("after cancel: %s", diff)
	}
	if _, err := to.receiveAll(meta, content); err != nil {
		t.Fatal(err)
	}
	to.reopen() // died before Restore
	if diff := cmp.Diff(before, filesBelow(t, to.dir)); diff != "" {
		t.Errorf("after a crash: %s", diff)
	}
}

func TestReadersAndSendersFinishOnTheOldState(t *testing.T) {
	c := newCargo(2*ChunkSize, 1)
	from, to := laden(t, newCargo(100, 2)), laden(t, c)
	meta, r, err := to.Snapshots().Open("any")
	if err != nil {
		t.Fatal(err)
	}
	err = to.View(func(v *View) error {
		if err := to.install(from.taken()); err != nil {
			return err
		}
		_, err := v.Profile("b")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil || int64(len(content)) != meta.Size {
		t.Errorf("%d bytes of %d, %v", len(content), meta.Size, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	third := newShip(t)
	if err := third.install(*meta, content); err != nil {
		t.Fatal(err)
	}
	third.wantArchive(c)
}

func TestASenderThatGivesUpHoldsNothing(t *testing.T) {
	s := laden(t, newCargo(3*ChunkSize, 1))
	_, r, err := s.Snapshots().Open("any")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s.reopen() // would wait for the read transactions
}

func TestWhileASnapshotIsSentItsMomentStays(t *testing.T) {
	c, next := newCargo(ChunkSize, 1), newShip(t)
	s := laden(t, c)
	meta, r, err := s.Snapshots().Open("any")
	if err != nil {
		t.Fatal(err)
	}
	s.accepted(commandAt(6, profile("later")), commandAt(7, dropped()))
	if err := s.Log().DeleteRange(1, 7); err != nil {
		t.Fatal(err)
	}
	if err := s.DropArchive(c.digest); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := next.install(*meta, content); err != nil {
		t.Fatal(err)
	}
	next.want(5, "a", "b")
	next.wantArchive(c)
}

// takeLocal does what Raft does for a snapshot of its own, with nothing left in the log.
func (s *ship) takeLocal(index, term uint64, servers ...string) {
	s.t.Helper()
	snapshot, err := s.Snapshot()
	if err != nil {
		s.t.Fatal(err)
	}
	sink, err := s.Snapshots().Create(1, index, term, configurationOf(servers...), 1, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(snapshot.Persist(sink), sink.Close(), s.Log().DeleteRange(0, index)); err != nil {
		s.t.Fatal(err)
	}
	snapshot.Release()
}

func TestALocalSnapshotCountsEntriesThatAreNoneOfTheStoresBusiness(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	noop := &raft.Log{Index: 3, Term: 2, Type: raft.LogNoop}
	s.commit(noop)
	s.want(2, "a")
	s.takeLocal(3, 2, "n1")
	s.want(3, "a")
	s.reopen()
	s.want(3, "a")
	if list, _ := s.Snapshots().List(); list[0].Index != 3 || list[0].Term != 2 {
		t.Errorf("snapshot at %d in term %d", list[0].Index, list[0].Term)
	}
}

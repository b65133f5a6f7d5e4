package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// sameLog compares what Raft can see of two logs.
func sameLog(t interface{ Fatalf(string, ...any) }, want, got raft.LogStore) {
	wantFirst, _ := want.FirstIndex()
	wantLast, _ := want.LastIndex()
	gotFirst, _ := got.FirstIndex()
	gotLast, _ := got.LastIndex()
	if wantFirst != gotFirst || wantLast != gotLast {
		t.Fatalf("log from %d to %d, want %d to %d", gotFirst, gotLast, wantFirst, wantLast)
	}
	for i := max(wantFirst, 1) - 1; i <= wantLast+1; i++ {
		var w, g raft.Log
		wantErr, gotErr := want.GetLog(i, &w), got.GetLog(i, &g)
		if wantErr != gotErr {
			t.Fatalf("entry %d: %v, want %v", i, gotErr, wantErr)
		}
		if !sameEntry(w, g) {
			t.Fatalf("entry %d: %s", i, cmp.Diff(w, g, cmpopts.EquateEmpty()))
		}
	}
}

func sameEntry(a, b raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && a.AppendedAt.Equal(b.AppendedAt) &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Extensions, b.Extensions)
}

// sea is one run of random operations on both logs.
type sea struct {
	ship   *ship
	model  *raft.InmemStore
	chunks []Chunk
	next   uint64
}

func (s *sea) append(t *rapid.T) {
	var logs []*raft.Log
	for range rapid.IntRange(1, 5).Draw(t, "entries") {
		logs = append(logs, s.entry(t, s.next))
		s.next++
	}
	if err := errors.Join(s.model.StoreLogs(logs), s.ship.Log().StoreLogs(logs)); err != nil {
		t.Fatalf("store: %v", err)
	}
}

func (s *sea) entry(t *rapid.T, index uint64) *raft.Log {
	l := &raft.Log{Index: index, Term: rapid.Uint64Range(1, 9).Draw(t, "term")}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		l.Type = raft.LogType(rapid.IntRange(0, 5).Draw(t, "type"))
		l.Data = append([]byte{'{'}, rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "data")...)
		l.Extensions = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "extensions")
	case 1:
		l.Data = rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "rubbish")
	case 2:
		l.Data = EncodeChunk(rapid.SampledFrom(s.chunks).Draw(t, "chunk"))
	}
	return l
}

func (s *sea) delete(t *rapid.T, from, to uint64) {
	if err := errors.Join(s.model.DeleteRange(from, to), s.ship.Log().DeleteRange(from, to)); err != nil {
		t.Fatalf("delete %d to %d: %v", from, to, err)
	}
}

// compact removes the beginning, after a snapshot of what it held.
func (s *sea) compact(t *rapid.T) {
	first, _ := s.model.FirstIndex()
	last, _ := s.model.LastIndex()
	if last == 0 {
		return
	}
	var at raft.Log
	if err := s.model.GetLog(rapid.Uint64Range(first, last).Draw(t, "through"), &at); err != nil {
		t.Fatal(err)
	}
	if err := s.ship.witness(raft.SnapshotMeta{Index: at.Index, Term: at.Term}); err != nil {
		t.Fatal(err)
	}
	s.delete(t, first, at.Index)
}

// truncate removes the end, which Raft never does to what was applied.
func (s *sea) truncate(t *rapid.T) {
	last, _ := s.model.LastIndex()
	if last <= s.ship.Applied() {
		return
	}
	s.next = rapid.Uint64Range(s.ship.Applied()+1, last).Draw(t, "from")
	s.delete(t, s.next, last)
}

func TestTheLogBehavesLikeRaftsOwn(t *testing.T) {
	all := []Chunk{
		{Digest: [32]byte{1}, Number: 0, Payload: newCargo(20_000, 1).bytes}, // more than a page
		{Digest: [32]byte{1}, Number: 1, Payload: []byte("last")},
		{Digest: [32]byte{2}, Number: 7, Payload: []byte("other")},
	}
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		s := &sea{ship: &ship{t: outer, dir: outer.TempDir()}, model: raft.NewInmemStore(), chunks: all, next: 1}
		s.ship.reopen()
		defer s.ship.close()
		t.Repeat(map[string]func(*rapid.T){
			"append":   s.append,
			"compact":  s.compact,
			"truncate": s.truncate,
			"reopen":   func(*rapid.T) { s.ship.reopen() },
			"":         func(t *rapid.T) { sameLog(t, s.model, s.ship.Log()) },
		})
	})
}

func TestTheStableStoreBehavesLikeRaftsOwn(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		s := &ship{t: outer, dir: outer.TempDir()}
		s.reopen()
		defer s.close()
		model := raft.NewInmemStore()
		text := func(v []byte, err error) string { return fmt.Sprint(v, err) }
		for range 20 {
			key := []byte(rapid.SampledFrom([]string{"CurrentTerm", "LastVoteCand"}).Draw(t, "key"))
			value := rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "value")
			if rapid.Bool().Draw(t, "set") {
				if err := errors.Join(model.Set(key, value), s.Log().Set(key, value)); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := text(s.Log().Get(key)), text(model.Get(key)); got != want {
				t.Fatalf("%s is %s, want %s", key, got, want)
			}
		}
	})
}

func TestANumberIsKeptAcrossARestart(t *testing.T) {
	s := newShip(t)
	key := []byte("CurrentTerm")
	if n, err := s.Log().GetUint64(key); n != 0 || err == nil || err.Error() != "not found" {
		t.Errorf("before it was set: %d, %v", n, err)
	}
	if err := s.Log().SetUint64(key, 1<<40); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	if n, err := s.Log().GetUint64(key); n != 1<<40 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestAnEntryWhoseBytesAreGoneIsNotFound(t *testing.T) {
	s, c := newShip(t), newCargo(2*ChunkSize, 1)
	if err := s.Log().StoreLogs(c.logs(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.vault.drop(c.digest); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().GetLog(1, &raft.Log{}); err != raft.ErrLogNotFound {
		t.Errorf("without its archive: %v", err)
	}
	if err := s.vault.put(c.digest, c.chunks()[:1]); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().GetLog(1, &raft.Log{}); err != nil {
		t.Errorf("with its chunk: %v", err)
	}
	if err := s.Log().GetLog(2, &raft.Log{}); err != raft.ErrLogNotFound {
		t.Errorf("without its chunk: %v", err)
	}
}

func TestBytesThatChangedOnDiskAreNotHandedOn(t *testing.T) {
	s, c := newShip(t), newCargo(100, 1)
	if err := s.Log().StoreLogs(c.logs(1)); err != nil {
		t.Fatal(err)
	}
	err := s.vault.use(func(g *generation) error {
		db, err := g.archive(c.digest, false)
		if err != nil {
			return err
		}
		return db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketChunks).Bucket(chunkKey(0)).Put(keyPayload, make([]byte, 100))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Log().GetLog(1, &raft.Log{}); err == nil || err == raft.ErrLogNotFound {
		t.Errorf("got %v", err)
	}
}

func TestALogWithoutEntriesInTheMiddleIsRefused(t *testing.T) {
	s := newShip(t)
	s.commit(commandAt(1, profile("a")))
	if err := s.Log().StoreLog(commandAt(3, profile("b"))); err == nil {
		t.Error("entry 3 was stored after entry 1")
	}
}

func TestDeletingEntriesKeepsThePayload(t *testing.T) {
	s, c := newShip(t), newCargo(2*ChunkSize+7, 1)
	if err := s.Log().StoreLogs(c.logs(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().DeleteRange(1, 3); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Log().HasStub(c.digest); has || err != nil {
		t.Errorf("stub: %v, %v", has, err)
	}
	s.wantArchive(c)
}

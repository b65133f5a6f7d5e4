package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// benchBatch is how many chunks Raft appends at once under load, and
// benchArchive how many make an archive: 64 MiB.
const (
	benchBatch   = 8
	benchArchive = 128
)

// The log's append of chunks beside a plain file that is synced as often.
func BenchmarkAppendChunks(b *testing.B) {
	c := newCargo(benchArchive*ChunkSize, 1)
	b.Run("log", func(b *testing.B) {
		b.SetBytes(int64(len(c.bytes)))
		for i := range b.N {
			appendToLog(b, c, fmt.Sprint(i))
		}
	})
	b.Run("file", func(b *testing.B) {
		b.SetBytes(int64(len(c.bytes)))
		for i := range b.N {
			appendToFile(b, c, filepath.Join(b.TempDir(), fmt.Sprint(i)))
		}
	})
}

func appendToLog(b *testing.B, c cargo, name string) {
	b.StopTimer()
	s, err := Open(filepath.Join(b.TempDir(), name), Options{})
	if err != nil {
		b.Fatal(err)
	}
	logs := c.logs(1)
	b.StartTimer()
	for ; len(logs) > 0; logs = logs[benchBatch:] {
		if err := s.Log().StoreLogs(logs[:benchBatch]); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

func appendToFile(b *testing.B, c cargo, path string) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for rest := c.bytes; len(rest) > 0; rest = rest[benchBatch*ChunkSize:] {
		if _, err := f.Write(rest[:benchBatch*ChunkSize]); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGetChunk(b *testing.B) {
	s, c := newShip(b), newCargo(benchArchive*ChunkSize, 1)
	if err := s.Log().StoreLogs(c.logs(1)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(ChunkSize)
	b.ResetTimer()
	for i := range b.N {
		if err := s.Log().GetLog(uint64(i%benchArchive)+1, &raft.Log{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyCommands(b *testing.B) {
	for _, batch := range []int{1, 8} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			s := newShip(b)
			for i := 0; i < b.N; i += batch {
				var entries []Entry
				for k := range batch {
					index := uint64(i + k + 1)
					entries = append(entries, Entry{Index: index, Term: 1, Data: New(OpProbe, Probe{}).Encode()})
				}
				s.Store.Apply(entries)
			}
		})
	}
}

// BenchmarkActs compares the writes of a person with what they would cost without
// the audit trail, at a trail that is full.
func BenchmarkActs(b *testing.B) {
	s := newShip(b)
	index := uint64(0)
	apply := func(b *testing.B, c Command) {
		b.Helper()
		index++
		if a := s.Store.Apply([]Entry{{Index: index, Term: 1, Data: c.Encode()}})[0]; a.Err() != nil {
			b.Fatal(a.Err())
		}
	}
	apply(b, New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "web"}}))
	err := s.vault.update(func(tx *bolt.Tx) error {
		for i := range uint64(actsKept) {
			if err := enter(entry{tx: tx}, actOnData, model.Act{Index: i, Actor: somebody(), What: "set param port of profile web"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	index = actsKept
	set := New(OpParamSet, ParamSet{Profile: "web", Key: "port", Value: "8080"})
	b.Run("plain", func(b *testing.B) {
		for range b.N {
			set.ID = newID()
			apply(b, set)
		}
	})
	b.Run("given", func(b *testing.B) {
		for range b.N {
			set.ID = newID()
			apply(b, set.GivenBy(somebody()))
		}
	})
}

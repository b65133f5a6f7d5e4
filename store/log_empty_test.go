package store

import (
	"testing"

	"github.com/hashicorp/raft"
)

// A log of several leaves, emptied in one deletion, once made bbolt's cursor
// run for ever.
func TestALogOfManyLeavesCanBeEmptied(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const entries = 200
	for i := range uint64(entries) {
		l := &raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: New(OpProbe, Probe{Member: string(make([]byte, 100))}).Encode()}
		if err := s.Log().StoreLog(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Log().DeleteRange(1, entries); err != nil {
		t.Fatal(err)
	}
	if first, last := s.log.first.Load(), s.log.last.Load(); first != 0 || last != 0 {
		t.Errorf("an empty log goes from %d to %d", first, last)
	}
}

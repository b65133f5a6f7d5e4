package store

import (
	"bytes"
	"crypto/sha256"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/raft"
)

func TestAnEntryReadsBackAsItWasWritten(t *testing.T) {
	entries := []raft.Log{
		{},
		{Index: 1, Term: 2, Type: raft.LogNoop, AppendedAt: time.Unix(1, 2).UTC()},
		{Index: math.MaxUint64, Term: math.MaxUint64, Type: raft.LogConfiguration, Data: []byte("servers")},
		{Index: 3, Data: []byte(`{}`), Extensions: []byte{0, 1}, AppendedAt: time.Unix(-1, 999999999).UTC()},
		{Index: 4, Type: raft.LogConfiguration, Data: []byte{chunkMark, 1, 2}},
		{Index: 5, Data: []byte{chunkMark}}, // no proper chunk: it must not get lost
	}
	for _, want := range entries {
		var got raft.Log
		s, err := decodeEntry(encodeEntry(&want), &got)
		if err != nil || s != nil {
			t.Fatalf("decode: stub %v, %v", s, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAChunkIsAStubOnDisk(t *testing.T) {
	c := newCargo(1000, 1)
	raw := encodeEntry(c.logs(7)[0])
	if bytes.Contains(raw, c.bytes) {
		t.Error("the payload is in the entry")
	}
	var got raft.Log
	s, err := decodeEntry(raw, &got)
	if err != nil {
		t.Fatal(err)
	}
	want := &stub{digest: c.sum, number: 0, length: 1000, sum: sha256.Sum256(c.bytes)}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(stub{})); diff != "" {
		t.Error(diff)
	}
	if got.Index != 7 || got.Data != nil {
		t.Errorf("entry %d with %d bytes", got.Index, len(got.Data))
	}
}

// What decodes must encode to the same bytes again: no two forms of one entry.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(encodeEntry(&raft.Log{Index: 1, Term: 2, Data: []byte("{}"), Extensions: []byte("x")}))
	f.Add(encodeEntry(newCargo(10, 1).logs(1)[0]))
	f.Add([]byte{entryVersion})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var l raft.Log
		s, err := decodeEntry(raw, &l)
		if err != nil {
			return
		}
		again := appendEntry(&l, raw[1], l.Data)
		if s != nil {
			data := append(s.digest[:], chunkKey(s.number)...)
			data = append(append(data, chunkKey(s.length)...), s.sum[:]...)
			again = appendEntry(&l, raw[1], data)
		}
		var l2 raft.Log
		s2, err := decodeEntry(again, &l2)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, l2) + cmp.Diff(s, s2, cmp.AllowUnexported(stub{})); diff != "" {
			t.Error(diff)
		}
	})
}

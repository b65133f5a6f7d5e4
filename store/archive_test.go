package store

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAnArchiveReadsBackAtAnyOffset(t *testing.T) {
	s, c := newShip(t), newCargo(2*ChunkSize+100, 1)
	if err := s.vault.put(c.digest, c.chunks()); err != nil {
		t.Fatal(err)
	}
	s.wantArchive(c)
	a, err := s.Archive(c.digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int{0, 1, ChunkSize - 1, ChunkSize, 2*ChunkSize + 99} {
		got, err := io.ReadAll(io.NewSectionReader(a, int64(off), int64(len(c.bytes))))
		if err != nil || !bytes.Equal(got, c.bytes[off:]) {
			t.Errorf("from %d: %d bytes, %v", off, len(got), err)
		}
	}
	if n, err := a.ReadAt(make([]byte, 1), int64(len(c.bytes))); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestAMissingChunkIsAnErrorNotZeroes(t *testing.T) {
	s, c := newShip(t), newCargo(3*ChunkSize, 1)
	chunks := c.chunks()
	if err := s.vault.put(c.digest, []Chunk{chunks[0], chunks[2]}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Archive(c.digest)
	if err != nil {
		t.Fatal(err)
	}
	n, err := a.ReadAt(make([]byte, len(c.bytes)), 0)
	if n != ChunkSize || err == nil || !strings.Contains(err.Error(), "chunk 1 is not here") {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestAChunkIsNeverOverwrittenByOtherBytes(t *testing.T) {
	s, c, other := newShip(t), newCargo(100, 1), newCargo(100, 2)
	if err := s.vault.put(c.digest, c.chunks()); err != nil {
		t.Fatal(err)
	}
	if err := s.vault.put(c.digest, c.chunks()); err != nil {
		t.Errorf("the same bytes again: %v", err)
	}
	if err := s.vault.put(c.digest, other.chunks()); err == nil {
		t.Error("other bytes were taken")
	}
	s.wantArchive(c)
}

func TestAChunkThatIsThereCostsNoWrite(t *testing.T) {
	s, c := newShip(t), newCargo(ChunkSize, 1)
	if err := s.vault.put(c.digest, c.chunks()); err != nil {
		t.Fatal(err)
	}
	before := s.archiveTx(c)
	if err := s.Log().StoreLogs(c.logs(1)); err != nil {
		t.Fatal(err)
	}
	if after := s.archiveTx(c); after != before {
		t.Errorf("transaction %d, was %d", after, before)
	}
}

// archiveTx counts the writes to an archive's file.
func (s *ship) archiveTx(c cargo) int {
	s.t.Helper()
	tx, err := s.vault.archive(c.digest)
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.end()
	return tx.ID()
}

func TestAddingAChunkDoesNotWriteItsNeighboursAgain(t *testing.T) {
	s, c := newShip(t), newCargo(20*ChunkSize, 1)
	for _, chunk := range c.chunks() {
		if err := s.vault.put(c.digest, []Chunk{chunk}); err != nil {
			t.Fatal(err)
		}
	}
	err := s.vault.use(func(g *generation) error {
		stats := g.archives[c.digest].Stats()
		if written, limit := stats.TxStats.GetPageAlloc(), int64(len(c.bytes))*12/10; written > limit {
			t.Errorf("%d bytes were written, %d at most were expected", written, limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyADigestNamesAnArchive(t *testing.T) {
	s := newShip(t)
	for _, digest := range []string{"", "..", "../records", strings.Repeat("A", 64), strings.Repeat("0", 63), strings.Repeat("0", 64)} {
		if _, err := s.Archive(digest); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", digest, err)
		}
	}
	if err := s.DropArchive("../records"); err == nil {
		t.Error("dropped a path")
	}
}

package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnArchiveIsDroppedOnlyWhenTheLogHasLetGo(t *testing.T) {
	s, c := newShip(t), newCargo(ChunkSize, 1)
	before := filesBelow(t, s.dir)
	s.accepted(configAt(1, "n1"), commandAt(2, c.announced()))
	s.accepted(c.logs(3)...)
	s.accepted(commandAt(4, dropped()))
	if err := s.DropArchive(c.digest); !errors.Is(err, ErrStubbed) {
		t.Fatalf("with a stub in the log: %v", err)
	}
	s.wantArchive(c)
	s.takeLocal(4, 1, "n1")
	if err := s.DropArchive(c.digest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Archive(c.digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("after it was dropped: %v", err)
	}
	if err := s.DropArchive(c.digest); err != nil {
		t.Errorf("again: %v", err)
	}
	if diff := cmp.Diff(before, filesBelow(t, s.dir)); diff != "" {
		t.Errorf("files: %s", diff)
	}
}

func TestADroppedArchiveMayComeAgain(t *testing.T) {
	s, c := laden(t, newCargo(10, 2)), newCargo(ChunkSize, 1)
	if err := s.upload(c).Keep(); err != nil {
		t.Fatal(err)
	}
	if err := s.DropArchive(c.digest); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().StoreLogs(c.logs(6)); err != nil {
		t.Fatal(err)
	}
	s.wantArchive(c)
}

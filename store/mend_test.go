package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestALogThatLeavesAGapIsRefused(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	if err := s.Log().StoreLogs([]*raft.Log{{Index: 3}, {Index: 4}, {Index: 5}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Log().DeleteRange(1, 4); err != nil {
		t.Fatal(err)
	}
	s.close()
	if _, err := Open(s.dir, Options{}); err == nil || !strings.Contains(err.Error(), "begins at entry 5") {
		t.Errorf("got %v", err)
	}
}

func TestALogOfAnotherTermIsEmptied(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	if err := s.Log().StoreLogs([]*raft.Log{{Index: 2, Term: 7}, {Index: 3, Term: 7}}); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	if last, _ := s.Log().LastIndex(); last != 0 {
		t.Errorf("the log ends at %d", last)
	}
	s.want(2, "a")
}

func TestRecordsThatAreGoneAreNotMadeUp(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	s.close()
	if err := os.RemoveAll(filepath.Join(s.dir, "state")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.dir, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAtOpenArchivesThatNobodyKnowsAreRemoved(t *testing.T) {
	s, known, stubbed, orphan := newShip(t), newCargo(100, 1), newCargo(100, 2), newCargo(100, 3)
	s.accepted(configAt(1, "n1"), commandAt(2, known.announced()))
	if err := errors.Join(s.upload(known).Keep(), s.upload(orphan).Keep(), s.Log().StoreLogs(stubbed.logs(3))); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	s.wantArchive(known)
	s.wantArchive(stubbed)
	if _, err := s.Archive(orphan.digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("orphan: %v", err)
	}
}

// A member that was down while an archive was unstaged returns its disk too.
func TestAtOpenTheLogLetsGoOfADroppedArchive(t *testing.T) {
	s, c := newShip(t), newCargo(ChunkSize, 1)
	s.accepted(configAt(1, "n1"), commandAt(2, c.announced()))
	s.accepted(c.logs(3)...)
	s.accepted(commandAt(4, dropped()))
	if err := s.Log().StoreLog(commandAt(5, profile("not applied yet"))); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	first, _ := s.Log().FirstIndex()
	last, _ := s.Log().LastIndex()
	if first != 5 || last != 5 {
		t.Errorf("the log is from %d to %d", first, last)
	}
	for _, path := range filesBelow(t, s.dir) {
		if strings.Contains(path, c.digest) {
			t.Errorf("%s is still there", path)
		}
	}
}

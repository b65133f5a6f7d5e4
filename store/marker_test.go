package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// awaitDigest is the digest at a mark, as soon as it is taken.
func (s *ship) awaitDigest(index uint64) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if digest, known := s.DigestAt(index); known {
			return digest
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("no digest at %d", index)
		}
	}
}

func markAt(index uint64) *raft.Log { return commandAt(index, New(OpStateDigest, StateDigest{})) }

// One batch or many, what comes after the mark is not in its digest.
func TestMembersDigestAtTheMarkHoweverTheLogReachesThem(t *testing.T) {
	logs := []*raft.Log{commandAt(1, profile("a")), markAt(2), commandAt(3, profile("b")), markAt(4), commandAt(5, profile("c"))}
	alone := newShip(t)
	want := map[uint64]string{}
	for _, l := range logs {
		alone.accepted(l)
		want[l.Index] = alone.digest()
	}
	for name, batches := range map[string][][]*raft.Log{
		"one batch":  {logs},
		"two halves": {logs[:3], logs[3:]},
		"each alone": {logs[:1], logs[1:2], logs[2:3], logs[3:4], logs[4:]},
	} {
		s := newShip(t)
		for _, batch := range batches {
			s.accepted(batch...)
		}
		for _, index := range []uint64{2, 4} {
			if got := s.awaitDigest(index); got != want[index] {
				t.Errorf("%s: digest %s at %d, want %s", name, got, index, want[index])
			}
		}
		s.want(5, "a", "b", "c")
	}
	if want[2] == want[4] || want[4] == want[5] {
		t.Error("what is compared does not differ")
	}
}

func TestOnlyAMarkIsOne(t *testing.T) {
	s := newShip(t)
	s.accepted(commandAt(1, profile("state.digest")), commandAt(2, profile("b")))
	if _, mark := upToMark([]Entry{{Data: profile(`"op":"state.digest"`).Encode()}, {Data: []byte("state.digest")}}); mark {
		t.Error("it is no mark")
	}
	if _, known := s.DigestAt(1); known {
		t.Error("there was none")
	}
}

func TestTheLastDigestsAreKept(t *testing.T) {
	s := newShip(t)
	const marks = digestsKept + 2
	for i := range uint64(marks) {
		s.accepted(markAt(i + 1))
		s.awaitDigest(i + 1)
	}
	for i := range uint64(marks) {
		if _, known := s.DigestAt(i + 1); known != (i >= marks-digestsKept) {
			t.Errorf("mark %d: known is %v", i+1, known)
		}
	}
}

// A member that leaves its turn to swap does not wait for a digest.
func TestAClosedStoreDigestsNoMore(t *testing.T) {
	s := newShip(t)
	for i := range uint64(50) {
		s.accepted(commandAt(i+1, profile(fmt.Sprint(i))))
	}
	quit := make(chan struct{})
	close(quit)
	tx, err := s.vault.records()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.end()
	if _, err := digestIn(tx.Tx, quit); err != errDigestLate {
		t.Errorf("it went on: %v", err)
	}
	s.digests.close()
	if s.digests.begin() {
		t.Error("another one began")
	}
}

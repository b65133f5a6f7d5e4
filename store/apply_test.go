package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
)

func (s *ship) profiles() []string {
	s.t.Helper()
	names := []string{}
	err := s.View(func(v *View) error {
		all, err := v.Profiles()
		for _, p := range all {
			names = append(names, p.Name)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

func (s *ship) want(applied uint64, profiles ...string) {
	s.t.Helper()
	if s.Applied() != applied {
		s.t.Errorf("applied %d, want %d", s.Applied(), applied)
	}
	if diff := cmp.Diff(append([]string{}, profiles...), s.profiles()); diff != "" {
		s.t.Errorf("profiles: %s", diff)
	}
}

func TestWhatWasAppliedIsThereAfterARestart(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")), commandAt(3, profile("b")))
	before := s.digest()
	s.reopen()
	s.want(3, "a", "b")
	if after := s.digest(); after != before {
		t.Errorf("digest %s, was %s", after, before)
	}
	list, err := s.Snapshots().List()
	if err != nil || len(list) != 1 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	want := &raft.SnapshotMeta{Version: 1, ID: "1-3", Index: 3, Term: 1,
		Configuration: configurationOf("n1"), ConfigurationIndex: 1}
	if diff := cmp.Diff(want, list[0]); diff != "" {
		t.Error(diff)
	}
}

func TestAnEntryIsAppliedOnce(t *testing.T) {
	s := newShip(t)
	a, b := commandAt(1, profile("a")), commandAt(2, profile("a")) // two requests for one profile
	want := []Answer{{Index: 1}, {Index: 2, Code: "exists"}}
	if diff := cmp.Diff(want, s.commit(a, b)); diff != "" {
		t.Error(diff)
	}
	entries := []Entry{{Index: 1, Term: 1, Data: a.Data}, {Index: 2, Term: 1, Data: b.Data},
		{Index: 3, Term: 1, Data: profile("c").Encode()}}
	want = []Answer{{Index: 1}, {Index: 2}, {Index: 3}}
	if diff := cmp.Diff(want, s.Apply(entries)); diff != "" {
		t.Error(diff)
	}
	s.want(3, "a", "c")
}

func TestChunksAloneWriteNoRecord(t *testing.T) {
	s, c := newShip(t), newCargo(2*ChunkSize, 1)
	s.accepted(configAt(1, "n1"), commandAt(2, c.announced()))
	changed := s.Changed()
	s.accepted(c.logs(3)...)
	s.want(4)
	select {
	case <-changed:
		t.Error("chunks were announced as a change of the records")
	default:
	}
	s.reopen()
	s.want(2) // the log brings them again, and they change nothing
	s.accepted(c.logs(3)...)
	s.accepted(commandAt(5, profile("a")))
	s.reopen()
	s.want(5, "a")
	s.wantArchive(c)
}

func unknown(index uint64) *raft.Log {
	return commandAt(index, New("from.the.future", struct{}{}))
}

func TestTheStoreStopsAtWhatItCannotRead(t *testing.T) {
	for name, bad := range map[string]*raft.Log{
		"an unknown command": unknown(3),
		"an unknown field":   commandAt(3, New(OpProbe, map[string]int{"new": 1})),
		"rubbish":            {Index: 3, Term: 1, Data: []byte("rubbish")},
		"no proper chunk":    {Index: 3, Term: 1, Data: []byte{chunkMark, 1}},
		"nothing":            {Index: 3, Term: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShip(t)
			answers := s.commit(configAt(1, "n1"), commandAt(2, profile("a")), bad, commandAt(4, profile("b")))
			want := []Answer{{Index: 1}, {Index: 2}, {Index: 3, Code: "stopped"}, {Index: 4, Code: "stopped"}}
			if diff := cmp.Diff(want, answers); diff != "" {
				t.Error(diff)
			}
			s.wantStopped(3)
			s.want(2, "a")
			s.commit(commandAt(5, profile("c")))
			s.want(2, "a")
			s.reopen()
			s.wantStopped(3)
			s.want(2, "a")
		})
	}
}

func (s *ship) wantStopped(index uint64) {
	s.t.Helper()
	var stop *StoppedError
	if err := s.Fault(); !errors.As(err, &stop) || stop.Index != index {
		s.t.Errorf("fault: %v", err)
	}
	if err := s.WaitApplied(context.Background(), index); !errors.As(err, &stop) {
		s.t.Errorf("wait: %v", err)
	}
	_, err := s.Snapshot()
	if _, _, err2 := s.Snapshots().Open("1-2"); !errors.As(err, &stop) || !errors.As(err2, &stop) {
		s.t.Errorf("snapshot: %v, %v", err, err2)
	}
	if _, err := s.Snapshots().Create(1, 9, 1, raft.Configuration{}, 1, nil); !errors.As(err, &stop) {
		s.t.Errorf("create: %v", err)
	}
}

func TestAVersionThatCanReadItGoesOn(t *testing.T) {
	s := newShip(t)
	s.accepted(configAt(1, "n1"), commandAt(2, profile("a")))
	delete(s.table, OpProfileCreate) // an older version, that does not know it
	s.commit(commandAt(3, profile("b")), commandAt(4, profile("c")))
	s.wantStopped(3)
	s.reopen()
	if err := s.Fault(); err != nil {
		t.Fatal(err)
	}
	s.want(2, "a")
	s.accepted(commandAt(3, profile("b")), commandAt(4, profile("c")))
	s.reopen()
	s.want(4, "a", "b", "c")
}

func TestARequestIsAnsweredOnceAcrossRestarts(t *testing.T) {
	s := newShip(t)
	c := profile("a")
	s.accepted(commandAt(1, c))
	s.reopen()
	if got := s.commit(commandAt(2, c))[0]; got.Err() != nil || got.Index != 1 {
		t.Errorf("the same request again: %+v", got)
	}
}

func TestWaitingEndsWhenTheEntryIsApplied(t *testing.T) {
	s := newShip(t)
	changed := s.Changed()
	done := make(chan error)
	go func() { done <- s.WaitApplied(t.Context(), 1) }()
	s.accepted(commandAt(1, profile("a")))
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-changed
}

func TestWaitingEndsWithItsContextAndWithTheStore(t *testing.T) {
	s := newShip(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitApplied(ctx, 1); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "now at 0") {
		t.Errorf("got %v", err)
	}
	done := make(chan error)
	go func() { done <- s.WaitApplied(t.Context(), 1) }()
	s.close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAViewSeesOneMoment(t *testing.T) {
	s := newShip(t)
	s.accepted(commandAt(1, profile("a")))
	err := s.View(func(v *View) error {
		s.accepted(commandAt(2, profile("b")))
		_, err := v.Profile("b")
		if v.Index() != 1 || !errors.Is(err, ErrNotFound) {
			t.Errorf("index %d, %v", v.Index(), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.want(2, "a", "b")
}

func TestTwoStoresThatAppliedTheSameHaveOneDigest(t *testing.T) {
	one, two, other := newShip(t), newShip(t), newShip(t)
	logs := []*raft.Log{configAt(1, "n1"), commandAt(2, profile("a")), commandAt(3, profile("b"))}
	one.accepted(logs...)
	for _, l := range logs {
		two.accepted(l)
	}
	two.accepted(configAt(4, "n1", "n2"))
	other.accepted(commandAt(1, New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "b"}})))
	if one.digest() != two.digest() {
		t.Error("the digests differ")
	}
	if one.digest() == other.digest() {
		t.Error("different records have one digest")
	}
}

package store

import (
	"testing"
)

// What only a later version reads is not mended by a disk that works.
func TestAStoreThatStoppedAtACommandIsNotMendedByItsDisk(t *testing.T) {
	s := newShip(t)
	s.Apply([]Entry{{Index: 1, Term: 1, Data: New("of.tomorrow", nil).Encode()}})
	if s.Fault() == nil {
		t.Fatal("the store goes on")
	}
	if s.Mended() == nil {
		t.Error("it calls itself mended")
	}
}

func TestAStoreWhoseDiskFailedIsMendedWhenItKeepsAgain(t *testing.T) {
	s := newShip(t)
	s.stop(&StoppedError{Index: 1, Reason: "no space left on device", disk: s.applicable([]Entry{{Index: 1, Term: 1, Data: New(OpProbe, Probe{}).Encode()}})})
	if err := s.Mended(); err != nil {
		t.Errorf("the disk works, and it says %v", err)
	}
	s.reopen()
	if err := s.Fault(); err != nil {
		t.Errorf("in its next life it says %v", err)
	}
}

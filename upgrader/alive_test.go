package upgrader

import (
	"testing"
	"time"

	"github.com/theseusd/theseus/store"
)

// ear counts what a Pulse is told.
type ear struct{ beats int }

func (e *ear) Beat(time.Duration)          { e.beats++ }
func (e *ear) Leaving(time.Duration) error { return nil }

// A member whose loop stands still answers requests; that must not pass for life.
func TestS6ARequestIsNoSignOfLifeOfTheLoop(t *testing.T) {
	u, _ := scheduledFor(t, time.Hour, "")
	e := &ear{}
	u.Pulse = e
	if err := u.propose(t.Context(), store.OpProbe, store.Probe{Member: "1"}); err != nil {
		t.Fatal(err)
	}
	if e.beats != 0 || u.Stalled() {
		t.Errorf("a request counted as %d signs of life; stalled: %v", e.beats, u.Stalled())
	}
	u.alive(-2 * stillLimit)
	if e.beats != 1 || !u.Stalled() {
		t.Errorf("the loop gave %d signs of life, want one; stalled: %v", e.beats, u.Stalled())
	}
	if err := u.propose(t.Context(), store.OpProbe, store.Probe{Member: "1"}); err != nil || !u.Stalled() {
		t.Errorf("a request made a loop that stands still go on: %v", err)
	}
}

package binary

import (
	"strings"
	"testing"
	"time"
)

const (
	testStart    = 30 * time.Second
	testDeadline = 10 * time.Minute
)

// listening is a watcher's ear, with a clock that the test moves.
type listening struct {
	stethoscope
	t *testing.T
	n uint64
}

func (l *listening) leaves(quiet time.Duration) {
	l.n++
	l.hear(beat{Number: l.n, Stage: stageLeaving, Quiet: quiet, Image: "old"}, "new")
}

func (l *listening) beats(c Contact) {
	l.n++
	l.hear(beat{Number: l.n, Stage: "serving", Contact: c, Image: "new"}, "new")
}

// passes lets time go by in the steps of a watcher, and answers its verdict.
func (l *listening) passes(d time.Duration) string {
	for range d / lookEvery {
		l.add(l.tick(l.looked.Add(lookEvery)))
	}
	return l.verdict(testStart, testDeadline)
}

func (l *listening) want(what, verdict string) {
	l.t.Helper()
	if what == "" && verdict != "" || !strings.Contains(verdict, what) {
		l.t.Errorf("got the verdict %q, want %q", verdict, what)
	}
}

func TestS6ADaemonThatFallsSilentHangs(t *testing.T) {
	l := &listening{t: t}
	l.leaves(0)
	l.beats(Led)
	l.want("", l.passes(5*time.Second))
	l.want("stopped giving signs of life while serving", l.passes(time.Second))
	l.beats(Led)
	l.want("", l.passes(5*time.Second))
}

func TestS6AStartHasTheTimeThatItsTrialRunTells(t *testing.T) {
	l := &listening{t: t}
	l.leaves(5 * time.Second)
	l.want("", l.passes(testStart+5*time.Second))
	l.want("gave no sign of life after its start", l.passes(time.Second))
	l.restarted()
	l.want("", l.passes(testStart))
}

func TestS6ADaemonThatCannotRejoinIsGivenTwoMinutesOnEnd(t *testing.T) {
	l := &listening{t: t}
	l.leaves(0)
	for range 30 {
		l.beats(Apart)
		l.want("", l.passes(4*time.Second))
	}
	l.beats(Led)
	l.want("", l.passes(time.Second))
	for range 30 {
		l.beats(Apart)
		l.want("", l.passes(4*time.Second))
	}
	l.beats(Apart)
	l.want("could not rejoin", l.passes(4*time.Second))
}

func TestS6WithoutAQuorumInSightTheDeadlineIsWaitedFor(t *testing.T) {
	l := &listening{t: t}
	l.leaves(0)
	for range int(testDeadline / (4 * time.Second)) {
		l.beats(Alone)
		l.want("", l.passes(4*time.Second))
	}
	l.beats(Alone)
	l.want("saw no quorum within its deadline", l.passes(4*time.Second))
}

func TestS6AWatcherThatWasStoppedItselfCountsNoneOfIt(t *testing.T) {
	l := &listening{t: t}
	l.leaves(0)
	l.beats(Led)
	l.passes(time.Second)
	l.add(l.tick(l.looked.Add(time.Hour)))
	l.want("", l.verdict(testStart, testDeadline))
}

func TestS6TheOldImageIsNotJudged(t *testing.T) {
	l := &listening{t: t}
	l.n++
	l.hear(beat{Number: l.n, Stage: "serving", Image: "old"}, "new")
	if l.isNew {
		t.Error("a beat of the old image passed for one of the new")
	}
	l.leaves(0)
	if !l.isNew {
		t.Error("the old image left, and the new one is not listened to")
	}
}

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
	t     *testing.T
	n     uint64
	start time.Duration
}

func (l *listening) leaves(quiet time.Duration) {
	l.n++
	l.hear(beat{Number: l.n, Stage: stageLeaving, Quiet: quiet, Image: "old"}, l.at, "new")
}

func (l *listening) beats(c Contact) { l.says(beat{Stage: StageServing, Contact: c}) }

func (l *listening) says(b beat) {
	l.n++
	b.Number, b.Image = l.n, "new"
	l.hear(b, l.at, "new")
}

// touches is a sign of life without a word.
func (l *listening) touches() { l.hear(l.last, l.at.Add(time.Second), "new") }

// passes lets time go by in the steps of a watcher, and answers its verdict.
func (l *listening) passes(d time.Duration) string {
	for range d / lookEvery {
		l.add(l.tick(l.looked.Add(lookEvery)))
	}
	return l.verdict(l.start, testDeadline)
}

func hears(t *testing.T) *listening { return &listening{t: t, start: testStart} }

func (l *listening) want(what, verdict string) {
	l.t.Helper()
	if what == "" && verdict != "" || !strings.Contains(verdict, what) {
		l.t.Errorf("got the verdict %q, want %q", verdict, what)
	}
}

func TestS6ADaemonThatFallsSilentHangs(t *testing.T) {
	l := hears(t)
	l.leaves(0)
	l.beats(Led)
	l.want("", l.passes(5*time.Second))
	l.want("stopped giving signs of life while serving", l.passes(time.Second))
	l.beats(Led)
	l.want("", l.passes(5*time.Second))
}

func TestS6AStartWithoutASignOfLifeHangs(t *testing.T) {
	l := hears(t)
	l.leaves(startQuiet)
	l.want("", l.passes(silenceLimit+startQuiet))
	l.want("gave no sign of life after its start", l.passes(time.Second))
	l.beats(Led)
	l.restarted()
	l.want("", l.passes(silenceLimit+startQuiet))
	l.want("gave no sign of life after its start", l.passes(time.Second))
}

func TestS6AStartThatBeatsHasTheTimeThatItsTrialRunTells(t *testing.T) {
	l := hears(t)
	l.leaves(startQuiet)
	for range int(testStart / (4 * time.Second)) {
		l.says(beat{Stage: StageOpening, Contact: Alone})
		l.want("", l.passes(4*time.Second))
	}
	l.says(beat{Stage: StageOpening, Contact: Alone})
	l.want("it was not open within 30s", l.passes(4*time.Second))
	l.beats(Led)
	l.want("", l.passes(time.Second))
}

// Nothing is asked of a build that does not beat; one that has beaten does.
func TestS6ABuildThatIsNotKnownToBeatIsJudgedOnceItHas(t *testing.T) {
	l := hears(t)
	l.start = 0
	l.leaves(startQuiet)
	l.want("", l.passes(time.Hour))
	l.says(beat{Stage: StageOpening})
	l.want("", l.passes(silenceLimit))
	l.want("stopped giving signs of life while opening", l.passes(time.Second))
}

// Between two looks the old image may have left and the new one begun.
func TestS6TheFirstBeatOfTheNewImageIsEnough(t *testing.T) {
	l := hears(t)
	l.hear(beat{Number: 9, Stage: StageServing, Image: "old"}, l.at, "new")
	l.hear(beat{Number: 1, Stage: StageOpening}, l.at, "new")
	l.want("", l.passes(silenceLimit))
	l.want("stopped giving signs of life while opening", l.passes(time.Second))
}

// A disk that is full takes no beat, and the file can be touched still.
func TestS6ATouchOfTheLastBeatIsASignOfLife(t *testing.T) {
	l := hears(t)
	l.leaves(startQuiet)
	l.passes(silenceLimit + startQuiet)
	l.touches()
	l.want("", l.passes(silenceLimit+startQuiet))
	l.beats(Led)
	l.passes(silenceLimit)
	l.touches()
	l.want("", l.passes(silenceLimit))
	l.want("stopped giving signs of life while serving", l.passes(time.Second))
}

func TestS6ADaemonThatCannotRejoinIsGivenTwoMinutesOnEnd(t *testing.T) {
	l := hears(t)
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
	l := hears(t)
	l.leaves(0)
	for range int(testDeadline / (4 * time.Second)) {
		l.beats(Alone)
		l.want("", l.passes(4*time.Second))
	}
	l.beats(Alone)
	l.want("saw no quorum within its deadline", l.passes(4*time.Second))
}

func TestS6AWatcherThatWasStoppedItselfCountsNoneOfIt(t *testing.T) {
	l := hears(t)
	l.leaves(0)
	l.beats(Led)
	l.passes(time.Second)
	l.add(l.tick(l.looked.Add(time.Hour)))
	l.want("", l.verdict(l.start, testDeadline))
}

func TestS6TheOldImageIsNotJudged(t *testing.T) {
	l := hears(t)
	l.n++
	l.hear(beat{Number: l.n, Stage: StageServing, Image: "old"}, l.at, "new")
	l.want("", l.passes(time.Hour))
	if l.isNew {
		t.Error("a beat of the old image passed for one of the new")
	}
	l.leaves(0)
	if !l.isNew {
		t.Error("the old image left, and the new one is not listened to")
	}
}

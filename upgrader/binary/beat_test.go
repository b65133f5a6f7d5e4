package binary

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestABeatOfALaterVersionIsRead(t *testing.T) {
	o := &Own{Path: t.TempDir() + "/theseusd"}
	if b, at, err := o.lastBeat(); err != nil || b != (beat{}) || !at.IsZero() {
		t.Errorf("of no file: %+v, %v, %v", b, at, err)
	}
	text := `{"v":9,"upgrade":"u1","attempt":2,"pid":7,"image":"i","number":3,"stage":"serving","contact":"led","quiet":0,"mood":"good"}`
	if err := os.WriteFile(o.beside("beat"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, at, err := o.lastBeat()
	want := beat{V: 9, Upgrade: "u1", Attempt: 2, PID: 7, Image: "i", Number: 3, Stage: StageServing, Contact: Led}
	if err != nil || b != want || at.IsZero() {
		t.Errorf("got %+v, %v, %v", b, at, err)
	}
}

// Records are fixed: a watcher of an earlier version reads them.
func TestTheFormOfABeat(t *testing.T) {
	raw, err := json.Marshal(beat{V: 1, Upgrade: "u", Attempt: 1, PID: 2, Image: "i", Number: 3, Stage: StageOpening, Contact: Apart, Quiet: 4})
	want := `{"v":1,"upgrade":"u","attempt":1,"pid":2,"image":"i","number":3,"stage":"opening","contact":"apart","quiet":4}`
	if err != nil || string(raw) != want {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestTheLongestTrialRunSaysHowLongAStartMayTake(t *testing.T) {
	o := &Own{Path: t.TempDir() + "/theseusd"}
	tell := func(v int, image string, took time.Duration) {
		t.Helper()
		if err := o.Tried(Report{V: v, Image: image, Took: took}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(image string, start time.Duration) {
		t.Helper()
		if got := o.startOf(image); got != start {
			t.Errorf("%s has %s, want %s", image, got, start)
		}
	}
	want("a", 0)
	tell(ReportVersion, "a", time.Minute)
	tell(ReportVersion, "a", time.Millisecond)
	want("a", startFactor*time.Minute)
	want("b", 0)
	tell(ReportVersion, "b", time.Millisecond)
	want("b", shortestStart)
	want("a", 0)
	tell(2, "c", time.Minute) // replays, and is from before daemons gave signs of life
	want("c", 0)
}

// pulse is one of this process, for an executable in a directory of the test.
func pulse(t *testing.T) *Pulse {
	t.Helper()
	p := &Pulse{own: &Own{Path: t.TempDir() + "/theseusd"}, log: slog.New(slog.DiscardHandler), contact: Alone}
	p.Beat(StageServing, time.Minute)
	return p
}

func armed(t *testing.T, p *Pulse) {
	t.Helper()
	if err := p.own.write("attempt", Attempt{V: recordVersion, Upgrade: "u1", Number: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsWrittenWithoutAnAttempt(t *testing.T) {
	p := pulse(t)
	p.write()
	p.touch()
	if err := p.Leaving(0); err != nil {
		t.Error(err)
	}
	if got := listing(t, p.own.dir()); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
}

func TestABeatThatCannotBeWrittenTouchesTheLast(t *testing.T) {
	p := pulse(t)
	armed(t, p)
	// A directory is in the way: it cannot be replaced, and can be touched.
	if err := os.Mkdir(p.own.beside("beat"), 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	aged := func() {
		t.Helper()
		if err := os.Chtimes(p.own.beside("beat"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	touched := func(want bool) {
		t.Helper()
		info, err := os.Stat(p.own.beside("beat"))
		if err != nil || info.ModTime().After(old.Add(time.Minute)) != want {
			t.Errorf("touched at %v, %v; want %v", info.ModTime(), err, want)
		}
	}
	aged()
	p.write()
	touched(true)
	aged()
	p.until = time.Now() // the main loop falls silent
	p.write()
	touched(false)
}

func TestAnImageThatLeavesGivesNoMoreSignsOfLife(t *testing.T) {
	p := pulse(t)
	armed(t, p)
	p.write()
	if err := p.Leaving(time.Second); err != nil {
		t.Fatal(err)
	}
	p.write()
	b, _, err := p.own.lastBeat()
	if err != nil || b.Stage != stageLeaving || b.Quiet != time.Second || b.Number != 2 || b.PID != os.Getpid() {
		t.Errorf("the last is %+v, %v", b, err)
	}
}

package binary

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// supervised is a member in an attempt at variant, which lies at the path. Its
// watcher went away with the daemon, as under a supervisor that ends both.
func supervised(t *testing.T, variant string) (m *member, next string) {
	t.Helper()
	m = newMember(t, os.Geteuid(), "", "THESEUS_TEST_RESTART=exit")
	next = m.extract(variant)
	m.arm(1, next)
	m.endAll()
	m.place.rename(t, m.own.Next(next), m.path)
	return m, next
}

func (p place) rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// endAll kills the daemon and its watcher at once, as systemd does a control group.
func (m *member) endAll() {
	m.t.Helper()
	attempt := m.attempt()
	for _, pid := range m.processes("watch") {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	m.unwatched(attempt)
	attempt.Close()
	syscall.Kill(m.cmd.Process.Pid, syscall.SIGKILL)
	<-m.died
}

// heal is what a unit or a run script calls before each start.
func (m *member) heal() {
	m.t.Helper()
	m.output(m.t, m.own.Previous(), "heal", "--binary", m.path)
}

func (m *member) deaths(want int, putBack bool) {
	m.t.Helper()
	v, err := m.verdict()
	if err != nil || v.Deaths != want || v.PutBack != putBack {
		m.t.Fatalf("the verdict is %+v, %v; want %d deaths, put back: %v", v, err, want, putBack)
	}
}

// falls has the watcher judge so many deaths, the first ones of the attempt.
func (m *member) falls(times int) {
	m.t.Helper()
	a, _, err := m.own.Attempt()
	for n := 0; n < times && err == nil; n++ {
		_, _, err = m.own.judge(a, n, "it fell")
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) at(want string) {
	m.t.Helper()
	if at := image(m.t, m.path); at != want {
		m.t.Fatalf("at the path is %s, want %s", at, want)
	}
}

// These daemons die before they have their data directory, and no watcher sees it.
func TestADaemonThatDiesBeforeItIsSeenIsCountedAtTheNextStart(t *testing.T) {
	m, next := supervised(t, "exit")
	for n := 1; n <= 3; n++ {
		m.at(next)
		m.heal() // after the end of the one before
		m.deaths(n, n == 3)
	}
	m.at(m.own.Image)
	m.start()
	m.becomes(m.own.Image)
	m.heal()
	m.deaths(3, true)
	v, err := m.verdict()
	if err != nil || !strings.Contains(v.Reason, "died 3 times") {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

// Whoever sees a death first counts it: the watcher here, Heal at the next start.
func TestNoDeathIsCountedTwice(t *testing.T) {
	m, next := supervised(t, "good 2")
	m.heal()
	m.deaths(1, false) // the one that was killed with its watcher
	m.start()
	m.becomes(next)
	syscall.Kill(m.serving(), syscall.SIGKILL)
	<-m.died
	until(t, "the watcher has counted", func() error {
		if v, err := m.verdict(); err != nil || v.Deaths != 2 {
			return fmt.Errorf("the verdict is %+v, %v\n%s", v, err, m.log)
		}
		return nil
	})
	m.heal()
	m.deaths(2, false)

	m.start()
	m.becomes(next)
	m.endAll()
	m.heal()
	m.deaths(3, true)
	m.at(m.own.Image)
}

// A supervisor kills the watcher while it writes: the end is noted, the verdict is not.
func TestADeathCountsThoughItsWatcherDiedBeforeTheVerdict(t *testing.T) {
	m, next := supervised(t, "good 2")
	a, _, err := m.own.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		m.at(next)
		e, _, err := m.own.endsOf(a)
		if err != nil {
			t.Fatal(err)
		}
		e.Judged, e.Deaths = e.Starts+1, n
		if err := m.own.write("ends", e); err != nil {
			t.Fatal(err)
		}
		m.heal()
	}
	m.at(m.own.Image)
	m.deaths(3, true)
}

// A supervisor kills the watcher while it puts back: the path has the old
// executable, and nobody has said so.
func TestPuttingBackIsFinishedAtTheNextStart(t *testing.T) {
	m, _ := supervised(t, "good 2")
	m.falls(3)
	if err := m.own.Restore(); err != nil {
		t.Fatal(err)
	}
	m.heal()
	m.at(m.own.Image)
	m.deaths(3, true)
}

// Nobody has tried the new one yet: the old one's deaths are no verdict on it.
func TestDeathsBeforeTheSwapAreNoVerdictAtTheNextStart(t *testing.T) {
	m, next := supervised(t, "good 2")
	m.place.rename(t, m.path, m.own.Next(next))
	if err := m.own.Restore(); err != nil {
		t.Fatal(err)
	}
	m.falls(3)
	m.heal()
	m.deaths(3, false)
}

// The other way round: Heal was called before the watcher came to look.
func TestAWatcherThatComesLateCountsNothing(t *testing.T) {
	m, _ := supervised(t, "good 2")
	a, _, err := m.own.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	m.heal()
	m.deaths(1, false)
	for _, number := range []int{0, unnumbered} {
		if v, judged, err := m.own.judge(a, number, "late"); judged || v.Deaths != 1 || err != nil {
			t.Errorf("daemon %d: %+v, judged %v, %v", number, v, judged, err)
		}
	}
	if v, judged, err := m.own.judge(a, 1, "the next one"); !judged || v.Deaths != 2 || err != nil {
		t.Errorf("%+v, judged %v, %v", v, judged, err)
	}
}

func TestACleanStopIsNoDeathAtTheNextStart(t *testing.T) {
	m, next := supervised(t, "good 2")
	m.heal()
	m.deaths(1, false)
	for range 3 {
		m.start()
		m.becomes(next)
		syscall.Kill(m.serving(), syscall.SIGTERM)
		<-m.died
		m.heal()
		m.deaths(1, false)
	}
	m.heal() // this one ended without a word
	m.deaths(2, false)
}

func TestDeathsBeforeARebootDoNotCount(t *testing.T) {
	m, next := supervised(t, "good 2")
	a, _, err := m.own.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	a.Kernel = "another life of the kernel"
	if err := m.own.write("attempt", a); err != nil {
		t.Fatal(err)
	}
	m.heal()
	if v, err := m.verdict(); err != nil || v.Deaths != 0 {
		t.Fatalf("the verdict is %+v, %v", v, err)
	}
	for n := 1; n <= 3; n++ { // those after it do, though nobody watches
		m.at(next)
		m.heal()
		m.deaths(n, n == 3)
	}
	m.at(m.own.Image)
}

func TestWhatCannotBeStartedIsPutBackAtTheNextStart(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"not a program": func(path string) error { return nil },
		"mode lost":     func(path string) error { return os.Chmod(path, 0o600) },
		"gone":          os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMember(t, os.Geteuid(), "", "THESEUS_TEST_RESTART=exit")
			next := m.extractBytes("not an executable")
			m.arm(1, next)
			m.endAll()
			m.place.rename(t, m.own.Next(next), m.path)
			if err := spoil(m.path); err != nil {
				t.Fatal(err)
			}
			m.heal()
			m.at(m.own.Image)
			v, err := m.verdict()
			if err != nil || !v.PutBack || !strings.Contains(v.Reason, "cannot be executed") {
				t.Errorf("the verdict is %+v, %v", v, err)
			}
			m.start()
			m.becomes(m.own.Image)
		})
	}
}

// The old executable may die as often as it likes.
func TestTheEndOfTheOldExecutableIsNoDeathAtTheNextStart(t *testing.T) {
	m := newMember(t, os.Geteuid(), "", "THESEUS_TEST_RESTART=exit")
	m.arm(1, m.extract("good 2"))
	m.endAll()
	for range 4 {
		m.heal()
		m.at(m.own.Image)
	}
	if v, err := m.verdict(); err != nil || v.Deaths != 0 || v.PutBack {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

// What is not this attempt's is not touched: another's file, a daemon that serves,
// a path without an attempt.
func TestHealLeavesAloneWhatItDoesNotKnow(t *testing.T) {
	m, next := supervised(t, "good 2")
	m.start()
	m.becomes(next)
	for range 4 { // as when a second daemon was started beside the first
		m.heal()
	}
	if _, found, err := m.own.Verdict(); found || err != nil {
		t.Errorf("a second start was a death: %v", err)
	}
	m.endAll()

	byHandPath := m.write(t, "theseusd.new", "by hand")
	if err := os.Chmod(byHandPath, 0o600); err != nil { // not even one that could be started
		t.Fatal(err)
	}
	m.place.rename(t, m.path+".new", m.path)
	byHand := image(t, m.path)
	for range 4 {
		m.heal()
	}
	m.at(byHand)

	if err := m.own.Close(); err != nil {
		t.Fatal(err)
	}
	m.heal()
	m.at(byHand)
}

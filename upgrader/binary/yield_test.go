package binary

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

// yielding is a member that swaps its executable and ends, for its supervisor to
// start the next.
func yielding(t *testing.T, variant string) (m *member, next string) {
	t.Helper()
	m = newMember(t, os.Geteuid(), "", "THESEUS_TEST_RESTART=exit")
	next = m.extract(variant)
	m.arm(1, next)
	m.swap("yield")
	<-m.died
	until(t, "the watcher has read the last word", func() error {
		if !strings.Contains(m.log.String(), "ended for its supervisor") {
			return fmt.Errorf("not yet\n%s", m.log)
		}
		return nil
	})
	if _, held, err := holder(m.data); held || err != nil {
		t.Fatalf("a daemon runs: %v, %v", held, err)
	}
	return m, next
}

func (m *member) followed() {
	m.t.Helper()
	until(m.t, "the watcher follows", func() error {
		if want := fmt.Sprintf("attempt=1 pid=%d", m.cmd.Process.Pid); !strings.Contains(m.log.String(), "was started\" upgrade=u1 "+want) {
			return fmt.Errorf("not %s\n%s", want, m.log)
		}
		return nil
	})
}

func TestEndingForTheSupervisorIsNoDeath(t *testing.T) {
	m, next := yielding(t, "good 2")
	m.start() // as the supervisor would
	m.becomes(next)
	m.followed()
	if v, err := m.verdict(); err != nil || v.Deaths != 0 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}

	attempt := m.attempt()
	m.must("close")
	m.unwatched(attempt)
	syscall.Kill(m.serving(), syscall.SIGTERM) // with no attempt open, a stop is a stop
	<-m.died
	if left := m.processes(""); len(left) != 0 {
		t.Errorf("processes %v run", left)
	}
}

func TestABuildThatDiesUnderASupervisorIsPutBackAtItsThirdDeath(t *testing.T) {
	m, next := yielding(t, "good 2")
	attempt := m.attempt()
	for n := 1; n <= 3; n++ {
		if at := image(t, m.path); at != next {
			t.Fatalf("at the path is %s", at)
		}
		m.start()
		m.followed()
		syscall.Kill(m.serving(), syscall.SIGKILL)
		<-m.died
		until(t, "the death is counted", func() error {
			if v, err := m.verdict(); err != nil || v.Deaths != n {
				return fmt.Errorf("the verdict is %+v, %v", v, err)
			}
			return nil
		})
	}
	m.unwatched(attempt)
	if v, err := m.verdict(); err != nil || !v.PutBack || v.Deaths != 3 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
	m.start()
	m.becomes(m.own.Image)
}

// The supervisor may start the bad build once more before the old one is back.
func TestADaemonStartedTooQuicklyIsEnded(t *testing.T) {
	m, next := yielding(t, "good 2")
	m.start()
	m.followed()
	a, _, err := m.own.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{own: m.own, attempt: a, log: slog.New(slog.DiscardHandler)}
	if _, err := w.giveUp(t.Context(), "it is bad"); err != nil {
		t.Fatal(err)
	}
	<-m.died
	until(t, "its end is counted", func() error {
		if v, err := m.verdict(); err != nil || v.Deaths != 1 || !v.PutBack || v.Reason != "it is bad" {
			return fmt.Errorf("the verdict is %+v, %v", v, err)
		}
		return nil
	})

	late := &Own{Path: m.path, Image: next}
	if err := late.Expelled(); err == nil || !strings.Contains(err.Error(), "it is bad") {
		t.Errorf("one that is later still may stay: %v", err)
	}
	if err := m.own.Expelled(); err != nil {
		t.Errorf("the old executable may not stay: %v", err)
	}
	m.start()
	m.becomes(m.own.Image)
}

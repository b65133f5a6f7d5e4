package binary

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runs has a member become this variant, which passed a trial run in no time.
func (m *member) runs(variant string, deadline time.Duration) (next string) {
	m.t.Helper()
	next = m.extract(variant)
	if err := m.own.Tried(Report{V: ReportVersion, Image: next}); err != nil {
		m.t.Fatal(err)
	}
	m.place.own(m.t, m.own.beside("tried"))
	m.armFor(deadline, 1, next)
	m.swap("swap")
	return next
}

// replaced waits until the old executable serves again, in another process than
// the one that hung.
func (m *member) replaced(hung int, reason string) {
	m.t.Helper()
	attempt := m.attempt()
	if pid, _ := m.becomes(m.own.Image); pid == hung {
		m.t.Errorf("process %d hung, and answers", pid)
	}
	m.must("close")
	m.unwatched(attempt)
	v, err := m.verdict()
	if err != nil || !v.PutBack || v.Deaths != 0 || !strings.Contains(v.Reason, reason) {
		m.t.Errorf("the verdict is %+v, %v; want one that says %q", v, err, reason)
	}
	if got := image(m.t, m.path); got != m.own.Image {
		m.t.Errorf("at the path is %s", got)
	}
	if got := image(m.t, m.own.Previous()); got != m.own.Image {
		m.t.Errorf("kept is %s", got)
	}
}

// judged is a member whose new build is not to be put back.
func (m *member) judged() {
	m.t.Helper()
	if v, err := m.verdict(); err != nil || v.PutBack || v.Deaths != 0 {
		m.t.Errorf("the verdict is %+v, %v\n%s", v, err, m.log)
	}
}

// open waits until the member says that it is.
func (m *member) open() {
	m.t.Helper()
	until(m.t, "the start is over", func() error {
		b, _, err := m.own.lastBeat()
		if err == nil && b.Stage != StageServing {
			err = fmt.Errorf("the last sign of life is %+v", b)
		}
		return err
	})
}

// heard waits until n more beats lie beside the executable.
func (m *member) heard(n uint64) {
	m.t.Helper()
	first, _, err := m.own.lastBeat()
	until(m.t, "more signs of life", func() error {
		var b beat
		if b, _, err = m.own.lastBeat(); err == nil && b.Number < first.Number+n {
			err = fmt.Errorf("the last is %+v", b)
		}
		return err
	})
}

func TestS6ABuildThatNeverGivesASignOfLifeIsPutBack(t *testing.T) {
	t.Parallel()
	m := newMember(t, nobody, bothCaps)
	hung, _, capEff := m.who()
	m.runs("silent", time.Minute)
	m.replaced(hung, "no sign of life after its start")
	if got := getcap(t, m.path); got != bothCaps {
		t.Errorf("capabilities are %q, want %q", got, bothCaps)
	}
	if _, _, got := m.who(); got != capEff {
		t.Errorf("CapEff is %s, it was %s", got, capEff)
	}
}

func TestS6ABuildWhoseMainLoopHangsIsPutBack(t *testing.T) {
	t.Parallel()
	m := newMember(t, nobody, bothCaps)
	next := m.runs("good 2", time.Minute)
	hung, _ := m.becomes(next)
	m.open()
	m.must("hang")
	if _, got, _ := m.who(); got != next {
		t.Errorf("%s answers: its sockets are to stay open", got)
	}
	m.replaced(hung, "stopped giving signs of life while serving")
	if got := getcap(t, m.path); got != bothCaps {
		t.Errorf("capabilities are %q, want %q", got, bothCaps)
	}
}

// Nobody can tell it from a build that hangs.
func TestS6ABuildThatIsStoppedIsPutBack(t *testing.T) {
	t.Parallel()
	m := newMember(t, os.Geteuid(), "")
	next := m.runs("good 2", time.Minute)
	hung, _ := m.becomes(next)
	m.heard(1)
	syscall.Kill(hung, syscall.SIGSTOP)
	m.replaced(hung, "stopped giving signs of life while serving")
}

func TestS6ALongStartThatGivesSignsOfLifeIsWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMember(t, os.Geteuid(), "")
	next := m.runs("slow", time.Minute)
	m.becomes(next)
	m.heard(2)
	m.judged()
}

func TestS6ABuildThatSeesNoQuorumHasItsDeadline(t *testing.T) {
	t.Parallel()
	m := newMember(t, os.Geteuid(), "")
	next := m.runs("alone", 8*time.Second)
	hung, _ := m.becomes(next)
	m.heard(silent)
	m.judged()
	m.replaced(hung, "saw no quorum within its deadline of 8s")
}

// silent is as many beats as fit into the time after which a silent one hangs.
const silent = uint64(silenceLimit/beatEvery) + 1

// The old image is being watched already, and no build is to blame.
func TestS6TheOldImageThatHangsIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := newMember(t, os.Geteuid(), "")
	m.arm(1, m.extract("good 2"))
	m.open()
	m.must("hang")
	pid := m.serving()
	waited(silenceLimit)
	if now := m.serving(); now != pid {
		t.Errorf("process %d was replaced by %d", pid, now)
	}
	m.judged()
}

// A machine that is suspended stops both; the watcher may be the first to wake.
func TestS6AWatcherThatWasStoppedWithItsDaemonIsNotHastyWhenItWakes(t *testing.T) {
	t.Parallel()
	m := newMember(t, os.Geteuid(), "")
	next := m.runs("good 2", time.Minute)
	pid, _ := m.becomes(next)
	m.heard(1)
	watchers := m.processes("watch")
	if len(watchers) != 1 {
		t.Fatalf("watchers: %v", watchers)
	}
	syscall.Kill(watchers[0], syscall.SIGSTOP)
	syscall.Kill(pid, syscall.SIGSTOP)
	waited(silenceLimit)
	syscall.Kill(watchers[0], syscall.SIGCONT)
	waited(2 * lookEvery)
	syscall.Kill(pid, syscall.SIGCONT)
	m.heard(2)
	m.judged()
	if now := m.serving(); now != pid {
		t.Errorf("process %d was replaced by %d", pid, now)
	}
}

// waited lets more than d pass: what is tested is that nothing comes of it.
func waited(d time.Duration) { <-time.After(d + beatEvery) }

func TestS24ABuildThatLostItsModeIsPutBackAtOnce(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	m.swap("swap")
	pid, _ := m.becomes(next)
	attempt := m.attempt()
	// The kept executable is another file: it keeps its mode.
	if err := os.Chmod(m.path, 0o644); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	m.becomes(m.own.Image)
	m.must("close")
	m.unwatched(attempt)
	v, err := m.verdict()
	if err != nil || !v.PutBack || v.Deaths != 1 || !strings.Contains(v.Reason, "it cannot be executed") {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

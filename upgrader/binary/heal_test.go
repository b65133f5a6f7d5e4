package binary

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

const bothCaps = "cap_net_bind_service,cap_setfcap=ep"

// A build that does not live is put back with the capabilities of the old one,
// and the old one runs.
func TestABuildThatDiesThreeTimesIsPutBack(t *testing.T) {
	for _, bad := range []struct{ variant, how string }{
		{"exit", "exit status 3"},
		{"segv", ""},
	} {
		t.Run(bad.variant, func(t *testing.T) {
			t.Parallel()
			m := newMember(t, nobody, bothCaps)
			_, _, capEff := m.who()
			next := m.extract(bad.variant)
			m.arm(1, next)
			attempt := m.attempt()
			m.swap("swap")
			if _, got := m.becomes(m.own.Image); got != capEff {
				t.Errorf("CapEff is %s, it was %s", got, capEff)
			}
			m.must("close")
			m.unwatched(attempt)
			v, err := m.verdict()
			if err != nil || !v.PutBack || v.Deaths != 3 || v.Upgrade != "u1" || v.Attempt != 1 || !strings.Contains(v.Reason, bad.how) {
				t.Errorf("the verdict is %+v, %v", v, err)
			}
			if at := image(t, m.path); at != m.own.Image {
				t.Errorf("at the path is %s", at)
			}
			if got := getcap(t, m.path); got != bothCaps {
				t.Errorf("capabilities are %q, want %q", got, bothCaps)
			}
		})
	}
}

// Here the daemon cannot heal itself any more: the watcher does, at the first death.
func TestABuildThatCannotBeExecutedIsPutBackAtOnce(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extractBytes("not an executable")
	m.arm(1, next)
	attempt := m.attempt()
	m.swap("swap-or-die")
	m.becomes(m.own.Image)
	m.must("close")
	m.unwatched(attempt)
	v, err := m.verdict()
	if err != nil || !v.PutBack || v.Deaths != 1 || !strings.Contains(v.Reason, "exec format error") {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

func TestOneKillOfAGoodBuildIsNoVerdict(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	m.swap("swap")
	pid, _ := m.becomes(next)
	syscall.Kill(pid, syscall.SIGKILL)
	<-m.died
	if again, _ := m.becomes(next); again == pid {
		t.Errorf("process %d was killed and answers", pid)
	}
	v, err := m.verdict()
	if err != nil || v.PutBack || v.Deaths != 1 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

func TestACleanStopIsNotHealed(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	attempt := m.attempt()
	m.swap("swap")
	pid, _ := m.becomes(next)
	syscall.Kill(pid, syscall.SIGTERM)
	<-m.died
	m.unwatched(attempt)
	if _, held, err := holder(m.data); held || err != nil {
		t.Errorf("a daemon runs: %v, %v", held, err)
	}
	if v, err := m.verdict(); err != nil || v.Deaths != 0 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

// Started by hand, with the attempt open, it is watched again, by the old code.
func TestADaemonThatStartsInAnOpenAttemptIsWatchedAgain(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	attempt := m.attempt()
	m.swap("swap")
	pid, _ := m.becomes(next)
	syscall.Kill(pid, syscall.SIGTERM)
	<-m.died
	m.unwatched(attempt)
	attempt.Close()

	m.start()
	pid = m.serving()
	watchers := m.processes("watch")
	if len(watchers) != 1 {
		t.Fatalf("watchers: %v", watchers)
	}
	if got := image(t, fmt.Sprintf("/proc/%d/exe", watchers[0])); got != m.own.Image {
		t.Errorf("the watcher is %s, the old code %s", got, m.own.Image)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	<-m.died
	m.becomes(next)
}

// What a supervisor starts, the watcher only follows, and counts.
func TestASupervisedDaemonIsNotStartedByTheWatcher(t *testing.T) {
	m := newMember(t, os.Geteuid(), "", "INVOCATION_ID=1")
	next := m.extract("good 2")
	m.arm(1, next)
	m.swap("swap")
	m.becomes(next)
	for n := 1; n <= 2; n++ {
		pid := m.serving()
		syscall.Kill(pid, syscall.SIGKILL)
		<-m.died
		until(t, "the death is counted", func() error {
			if v, err := m.verdict(); err != nil || v.Deaths != n {
				return fmt.Errorf("the verdict is %+v, %v", v, err)
			}
			return nil
		})
		if _, held, err := holder(m.data); held || err != nil {
			t.Fatalf("a daemon runs: %v, %v", held, err)
		}
		m.start() // as the supervisor would
		until(t, "the watcher follows", func() error {
			if want := fmt.Sprintf("pid=%d", m.cmd.Process.Pid); !strings.Contains(m.log.String(), "following the daemon that was started\" upgrade=u1 attempt=1 "+want) {
				return fmt.Errorf("not %s\n%s", want, m.log)
			}
			return nil
		})
		until(t, "one watcher watches", func() error { // the daemon asked for one more, which leaves again
			if watchers := m.processes("watch"); len(watchers) != 1 {
				return fmt.Errorf("watchers: %v", watchers)
			}
			return nil
		})
	}
	attempt := m.attempt()
	syscall.Kill(m.serving(), syscall.SIGKILL)
	m.unwatched(attempt)
	if at := image(t, m.path); at != m.own.Image {
		t.Errorf("after the third death, at the path is %s", at)
	}
}

// Three deaths of the old executable before it was ever replaced blame no build.
func TestTheOldExecutableIsNeverPutBackOverItself(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	attempt := m.attempt()
	for range 3 {
		pid := m.serving()
		syscall.Kill(pid, syscall.SIGKILL)
		until(t, "it is gone", func() error {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d: %v", pid, err)
			}
			return nil
		})
	}
	m.unwatched(attempt)
	if v, err := m.verdict(); err != nil || v.PutBack || v.Deaths != 3 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

func TestANewAttemptHasAWatcherOfItsOwn(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	first := m.attempt()
	m.arm(2, next)
	m.unwatched(first)
	if watchers := m.processes("watch"); len(watchers) != 1 {
		t.Errorf("watchers: %v", watchers)
	}
	syscall.Kill(m.serving(), syscall.SIGKILL)
	<-m.died
	m.serving()
	if v, err := m.verdict(); err != nil || v.Deaths != 1 || v.Attempt != 2 {
		t.Errorf("the verdict is %+v, %v", v, err)
	}
}

// Package child runs executables of others that must not outlive this process. It
// knows processes and what they say; what they are for it must never know.
package child

import (
	"bytes"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Tie makes a command, before it is started, the head of a process group that is
// asked to end when its context is over, and killed a grace later. It dies when
// this process does, however that ends. The caller calls loose on the same
// goroutine when the command was waited for: what is left of the group is killed.
func Tie(cmd *exec.Cmd, grace time.Duration) (loose func()) {
	// The kernel sends the signal of a parent's death when the thread ends that
	// began the child (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = grace
	return func() {
		runtime.UnlockOSThread()
		if cmd.Process != nil {
			unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // an error is that there is nothing
		}
	}
}

// Said keeps the beginning and the end of what is written to it, limit bytes of
// each: some programs say first what went wrong, and others last.
type Said struct {
	limit       int
	first, last []byte
	cut         bool
}

// Keep makes one.
func Keep(limit int) *Said { return &Said{limit: limit} }

func (s *Said) Write(p []byte) (int, error) {
	n := min(len(p), s.limit-len(s.first))
	s.first = append(s.first, p[:n]...)
	s.last = append(s.last, p[n:]...)
	if over := len(s.last) - s.limit; over > 0 {
		s.last, s.cut = bytes.Clone(s.last[over:]), true
	}
	return len(p), nil
}

// String is what was kept, to be put behind an error.
func (s *Said) String() string {
	text := string(s.first)
	if s.cut {
		text += " ... "
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text+string(s.last), "?"))
	if text == "" {
		return ""
	}
	return ": " + text
}

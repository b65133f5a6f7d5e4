package binary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how often a watcher looks whether its attempt is open still; a
// death it sees at once.
const lookEvery = 200 * time.Millisecond

// process is a daemon that is followed. A pidfd means one process from birth to
// end, whatever becomes of the number, and needs no right to look into it.
type process struct {
	pid int
	fd  *os.File
	cmd *exec.Cmd // if the watcher started it

	number int // of the attempt's daemons, see ends
}

// find opens a process that someone else started; nil when it is gone.
func find(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("follow process %d: %w", pid, err)
	}
	return &process{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// start starts the daemon of the attempt from the executable at its path, in a
// session of its own so that it outlives the watcher, with the watcher's output.
func (w *watcher) start() (*process, error) {
	a := w.attempt
	cmd := exec.Command(w.own.Path)
	cmd.Args, cmd.Env, cmd.Dir = a.Start.Argv, a.Start.Env, a.Start.Dir
	if _, err := os.Stat(cmd.Dir); err != nil {
		cmd.Dir = "/" // gone; the daemon's paths may well be absolute
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p, err := find(cmd.Process.Pid) // not reaped yet, so it is there
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	p.cmd = cmd
	return p, nil
}

// follow returns true when the process has died while it was wanted, false when
// wanted says no or ctx ends.
func (p *process) follow(ctx context.Context, wanted func() bool) bool {
	fds := []unix.PollFd{{Fd: int32(p.fd.Fd()), Events: unix.POLLIN}}
	for ctx.Err() == nil && wanted() {
		n, err := unix.Poll(fds, int(lookEvery.Milliseconds()))
		if err == nil && n > 0 {
			return wanted()
		}
	}
	return false
}

// end reaps a dead process and says how it died, as far as anyone can know; ok
// is true when it left by itself without complaint.
func (p *process) end() (how string, ok bool) {
	p.fd.Close()
	if p.cmd == nil {
		return "how is not known: it was not started by the watcher", false
	}
	err := p.cmd.Wait()
	if p.cmd.ProcessState == nil {
		return err.Error(), false
	}
	return p.cmd.ProcessState.String(), p.cmd.ProcessState.Success()
}

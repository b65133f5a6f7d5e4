package binary

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a watcher finds open: standard output and error of the daemon, and these.
const (
	pidfdFD = 3 // the daemon, from its birth
	readyFD = 4 // one line: the watcher follows, or why it need not
)

const (
	readyLimit   = 10 * time.Second
	readyWatches = "watching"
	readyBusy    = "watched already" // by another watcher of the same attempt
)

// Rewatch starts a watcher again if an attempt is open and none is alive. The
// daemon calls it at its start: the kept executable, old code, does the watching.
func (o *Own) Rewatch() error {
	_, open, err := o.Attempt()
	if err != nil || !open {
		return err
	}
	return o.spawn(o.Previous())
}

// spawn starts the executable at path as the watcher of this process, through a
// process in between that ends at once: the watcher must not become a zombie
// that the next image knows nothing of. It returns when the watcher follows.
func (o *Own) spawn(path string) error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("start the watcher: open the own process: %w", err)
	}
	self := os.NewFile(uintptr(fd), "pidfd")
	defer self.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	defer r.Close()
	cmd := o.watchCommand(path, os.Getpid(), self, w)
	cmd.Args = append(cmd.Args, "--detach")
	err = errors.Join(cmd.Start(), w.Close())
	if err == nil {
		err = cmd.Wait()
	}
	if err == nil {
		err = awaitReady(r)
	}
	if err != nil {
		return fmt.Errorf("start the watcher: %w", err)
	}
	return nil
}

func (o *Own) watchCommand(path string, pid int, self, ready *os.File) *exec.Cmd {
	cmd := exec.Command(path, "watch", "--binary", o.Path, "--pid", strconv.Itoa(pid))
	cmd.Args[0] = o.Path
	cmd.Env = startEnv(os.Environ())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{self, ready}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

func awaitReady(r *os.File) error {
	if err := r.SetReadDeadline(time.Now().Add(readyLimit)); err != nil {
		return err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	switch line {
	case readyWatches + "\n", readyBusy + "\n":
		return nil
	}
	return fmt.Errorf("it did not say that it follows this process: %w", err)
}

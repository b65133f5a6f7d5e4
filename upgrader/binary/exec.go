package binary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	inheritVariable = "THESEUS_INHERIT"
	inheritVersion  = 1
)

// Handover is what an image passes on to the next one in the same process.
type Handover struct {
	Files   map[string]syscall.Conn // listeners, the lock: by the name the next image asks for
	Attempt string                  // for people; empty outside an attempt
	Leader  string                  // id of the member that leads, as far as known
}

// inheritance is its form in the environment.
type inheritance struct {
	V       int            `json:"v"`
	Fds     map[string]int `json:"fds"`
	Attempt string         `json:"attempt,omitempty"`
	Leader  string         `json:"leader,omitempty"`
}

// Exec makes this process the image at path, with its arguments, environment and
// pid, and with the files of h open. It comes back only with an error; the
// process is then as it was.
func Exec(path string, h Handover) error {
	// No child may be forked while descriptors are open across exec.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	in := inheritance{V: inheritVersion, Fds: map[string]int{}, Attempt: h.Attempt, Leader: h.Leader}
	defer func() {
		for _, fd := range in.Fds {
			unix.Close(fd)
		}
	}()
	for name, file := range h.Files {
		fd, err := dup(file)
		if err != nil {
			return fmt.Errorf("execute %s: pass on %q: %w", path, name, err)
		}
		in.Fds[name] = fd
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("execute %s: %w", path, err)
	}
	env := append(daemonEnv(os.Environ()), inheritVariable+"="+string(raw))
	return fmt.Errorf("execute %s: %w", path, execBusy(path, env))
}

// execBusy bears with a file that is still open for writing in a child that was
// forked before and has not reached its own exec.
func execBusy(path string, env []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		err := syscall.Exec(path, os.Args, env)
		if !errors.Is(err, unix.ETXTBSY) || !pause(ctx, busyPause) {
			return err
		}
	}
}

// daemonEnv is all of the environment but what this image inherited itself and
// what Go put there because of file capabilities. What the supervisor gave this
// process stays: it is the same process.
func daemonEnv(env []string) []string {
	var kept []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, inheritVariable+"=") && entry != "GOTRACEBACK=none" {
			kept = append(kept, entry)
		}
	}
	return kept
}

// dup is a second descriptor, open across exec. File().Fd() would do as well but
// for making the socket, shared with the first, a blocking one.
func dup(c syscall.Conn) (fd int, err error) {
	e := control(c, func(first uintptr) {
		fd, err = unix.FcntlInt(first, unix.F_DUPFD, 3)
	})
	if e != nil {
		return -1, e
	}
	return fd, err
}

func control(c syscall.Conn, f func(fd uintptr)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(f)
}

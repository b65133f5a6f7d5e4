package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Member is one member of a cluster: a directory of its own with its own copy of
// the binaries, and a theseusd process once it is started. The process may
// become another one, when a watcher starts it again.
type Member struct {
	Name string
	API  string // host:port
	Raft string
	Dir  string
	Args []string // flags beside those that every member gets
	Env  []string
	User *syscall.Credential // nil: who runs the harness
	// Under is a command that becomes the daemon, such as one that enters a namespace.
	Under []string

	ports []*os.File // kept for it
}

// Bin is the directory of its binaries, Data its data directory.
func (m *Member) Bin() string  { return filepath.Join(m.Dir, "bin") }
func (m *Member) Data() string { return filepath.Join(m.Dir, "data") }

// Binary is the path of its theseusd.
func (m *Member) Binary() string { return filepath.Join(m.Bin(), "theseusd") }

// Log is the file that its processes write to.
func (m *Member) Log() string { return filepath.Join(m.Dir, "log") }

// Endpoint is the URL of its API.
func (m *Member) Endpoint() string { return "https://" + m.API }

// settle gives m its addresses on host. An apiPort of 0 is a free one.
func (m *Member) settle(host string, apiPort int) error {
	raft, err := reserve(host)
	if err != nil {
		return err
	}
	m.Raft, m.ports = raft.Name(), []*os.File{raft}
	if apiPort != 0 {
		m.API = net.JoinHostPort(host, strconv.Itoa(apiPort))
		return nil
	}
	api, err := reserve(host)
	if err != nil {
		return err
	}
	m.API, m.ports = api.Name(), append(m.ports, api)
	return nil
}

// install gives m its directories and its own copy of the binaries in from.
func (m *Member) install(from string) error {
	for _, dir := range []string{m.Dir, m.Bin(), m.Data()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"theseusd", "theseus"} {
		if err := copyFile(filepath.Join(from, name), filepath.Join(m.Bin(), name)); err != nil {
			return fmt.Errorf("install %s: %w", m.Name, err)
		}
	}
	return m.own()
}

// own gives everything of m to the user that runs it. A binary loses its
// capabilities by that.
func (m *Member) own() error {
	return filepath.WalkDir(m.Dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, m.give(path))
	})
}

// give gives one file to the user that runs m.
func (m *Member) give(path string) error {
	if m.User == nil {
		return nil
	}
	return os.Lchown(path, int(m.User.Uid), int(m.User.Gid))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Start starts the process and does not wait for anything. A member that runs
// already makes the new process give way.
func (m *Member) Start() error {
	log, err := os.OpenFile(m.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	line := slices.Concat(m.Under, []string{m.Binary()}, m.args())
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = m.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.Dir}, m.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: m.User}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.Name, err)
	}
	go cmd.Wait() // reaps it; how it ended is in the log
	return nil
}

func (m *Member) args() []string {
	host, _, _ := strings.Cut(m.API, ":")
	return append([]string{"--data-dir", m.Data(), "--name", m.Name, "--advertise", host,
		"--listen", m.API, "--raft-listen", m.Raft}, m.Args...)
}

// Processes are all processes that run a binary of m, watchers included.
func (m *Member) Processes() ([]Process, error) { return processesIn(m.Bin()) }

// Daemon is the process that serves, if there is one. What it has just forked looks
// like it until it becomes something else.
func (m *Member) Daemon() (Process, bool) {
	all, err := m.Processes()
	all = slices.DeleteFunc(all, func(p Process) bool { return !p.daemon() })
	i := slices.IndexFunc(all, func(p Process) bool {
		parent, err := p.Status("PPid")
		return err == nil && !slices.ContainsFunc(all, func(other Process) bool { return strconv.Itoa(other.PID) == parent })
	})
	if err != nil || i < 0 {
		return Process{}, false
	}
	return all[i], true
}

// Signal sends s to the process that serves.
func (m *Member) Signal(s syscall.Signal) error {
	p, runs := m.Daemon()
	if !runs {
		return fmt.Errorf("signal %s: it does not run", m.Name)
	}
	return p.signal(s)
}

// Stop asks the process to end and waits until nothing of m runs.
func (m *Member) Stop(ctx context.Context) error {
	if err := m.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return Until(ctx, m.Name+" to stop", m.gone)
}

// Kill ends everything of m at once, watchers first, so that none starts it again.
func (m *Member) Kill(ctx context.Context) error {
	return Until(ctx, m.Name+" to be gone", func() (bool, error) {
		all, err := m.Processes()
		slices.SortFunc(all, func(a, b Process) int { return order(a) - order(b) })
		for _, p := range all {
			err = errors.Join(err, p.signal(syscall.SIGKILL))
		}
		return err == nil && len(all) == 0, err
	})
}

func order(p Process) int {
	if p.daemon() {
		return 1
	}
	return 0
}

func (m *Member) gone() (bool, error) {
	all, err := m.Processes()
	return err == nil && len(all) == 0, err
}

// Ready says whether m answers /readyz with 200, and if not, what it answers.
func (m *Member) Ready(ctx context.Context) (bool, error) {
	ca, err := Trust(filepath.Join(m.Data(), "tls", "ca.pem"))
	if err != nil {
		return false, err
	}
	c, err := Dial(ctx, m.API, ca)
	if err != nil {
		return false, err
	}
	defer c.Close()
	a, err := c.Do(ctx, Request{Method: "GET", Path: "/readyz"})
	if err != nil {
		return false, err
	}
	if a.Status != http.StatusOK {
		return false, fmt.Errorf("%s: %w", m.Name, unexpected(a))
	}
	return true, nil
}

// AwaitReady waits until m is ready.
func (m *Member) AwaitReady(ctx context.Context) error {
	return Until(ctx, m.Name+" to be ready", func() (bool, error) { return m.Ready(ctx) })
}

// Capabilities is what getcap says of its binary.
func (m *Member) Capabilities(ctx context.Context) (string, error) {
	out, err := output(ctx, "", nil, "getcap", m.Binary())
	_, caps, _ := strings.Cut(strings.TrimSpace(out), " ")
	return caps, err
}

// LogTail is the end of its log.
func (m *Member) LogTail(lines int) string {
	raw, err := os.ReadFile(m.Log())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

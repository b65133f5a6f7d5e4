package binary

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// member is a daemon of the tests with its own executable and data directory.
type member struct {
	place
	t    *testing.T
	path string
	addr string
	own  *Own // seen from outside
	env  []string
	cmd  *exec.Cmd
	log  *buffer
	died chan struct{}
}

// newMember starts the variant "good 1"; everything it leaves running is ended
// with the test.
func newMember(t *testing.T, uid int, caps string, env ...string) *member {
	t.Helper()
	p := newPlace(t, uid)
	m := &member{place: p, t: t, path: p.put(t, "theseusd", "good 1", caps), addr: freeAddr(t), env: env, log: &buffer{}}
	m.own = &Own{Path: m.path, Image: image(t, m.path)}
	t.Cleanup(m.cleanUp)
	m.start()
	return m
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (m *member) start() {
	m.t.Helper()
	m.cmd = m.command(m.path, "serve", m.data, m.addr)
	m.cmd.Env = append(m.cmd.Env, m.env...)
	out, in, err := os.Pipe()
	if err != nil {
		m.t.Fatal(err)
	}
	go m.log.fill(out)
	m.cmd.Stdout, m.cmd.Stderr = in, in
	if err := errors.Join(m.cmd.Start(), in.Close()); err != nil {
		m.t.Fatal(err)
	}
	cmd, died := m.cmd, make(chan struct{})
	m.died = died
	go func() { cmd.Wait(); close(died) }()
	m.serving()
}

// ask sends one line and answers the one that comes back.
func (m *member) ask(line string) (string, error) {
	c, err := net.DialTimeout("tcp", m.addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintln(c, line)
	answer, err := bufio.NewReader(c).ReadString('\n')
	answer = strings.TrimSpace(answer)
	if err == nil && strings.HasPrefix(answer, "error: ") {
		err = errors.New(answer)
	}
	return answer, err
}

func (m *member) must(line string) string {
	m.t.Helper()
	answer, err := m.ask(line)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", line, err, m.log)
	}
	return answer
}

// who waits until the member answers, with its pid, image and CapEff.
func (m *member) who() (pid int, image, caps string) {
	m.t.Helper()
	until(m.t, "the member answers", func() error {
		answer, err := m.ask("who")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, m.log)
		}
		_, err = fmt.Sscan(answer, &pid, &image, &caps)
		return err
	})
	return pid, image, caps
}

func (m *member) serving() int {
	m.t.Helper()
	pid, _, _ := m.who()
	return pid
}

// becomes waits until the member answers with this image.
func (m *member) becomes(want string) (pid int, caps string) {
	m.t.Helper()
	until(m.t, "the member becomes "+want, func() error {
		var got string
		pid, got, caps = m.who()
		if got != want {
			return fmt.Errorf("it is %s\n%s", got, m.log)
		}
		return nil
	})
	return pid, caps
}

// extract lays this variant beside the executable, as the daemon's user would.
func (m *member) extract(variant string) (image string) {
	m.t.Helper()
	from := m.put(m.t, "from", variant, "")
	defer os.Remove(from)
	image, err := FileImage(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.output(m.t, m.path, "extract", from)
	return image
}

func (m *member) arm(number int, image string) {
	m.t.Helper()
	m.armFor(time.Minute, number, image)
}

func (m *member) armFor(deadline time.Duration, number int, image string) {
	m.t.Helper()
	m.must(fmt.Sprintf("arm %d %s %s", number, image, deadline))
}

// swap does not wait: the connection ends with the image.
func (m *member) swap(how string) { m.ask(how) }

func (m *member) verdict() (Verdict, error) {
	v, _, err := m.own.Verdict()
	return v, err
}

func (m *member) attempt() *os.File {
	m.t.Helper()
	f, err := os.Open(m.own.beside("attempt"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	return f
}

// unwatched waits until the watcher of this attempt has ended.
func (m *member) unwatched(attempt *os.File) {
	m.t.Helper()
	until(m.t, "the watcher ends", func() error {
		if err := flock(attempt, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return fmt.Errorf("it holds the attempt: %w\n%s", err, m.log)
		}
		return nil
	})
}

// processes are those that run below this member's directory, watchers included.
func (m *member) processes(word string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		raw, err := os.ReadFile(path)
		args := bytes.Split(raw, []byte{0})
		if err != nil || string(args[0]) != m.path || len(args) < 2 || word != "" && string(args[1]) != word {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cleanUp ends what this test started: first the watchers, who would start the
// daemon again.
func (m *member) cleanUp() {
	for _, word := range []string{"watch", ""} {
		for _, pid := range m.processes(word) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	until(m.t, "nothing is left running", func() error {
		left := m.processes("")
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v", left)
		}
		return nil
	})
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) fill(r *os.File) {
	defer r.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		b.mu.Lock()
		fmt.Fprintln(&b.text, lines.Text())
		b.mu.Unlock()
	}
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

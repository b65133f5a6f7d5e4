package binary

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSwapKeepsProcessSocketAndLock(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	pid := m.serving()
	next := m.extract("good 2")
	m.arm(1, next)
	attempt := m.attempt()
	m.swap("swap")

	if got, _ := m.becomes(next); got != pid {
		t.Errorf("the pid is %d, it was %d", got, pid)
	}
	var held *HeldError
	if _, err := LockDataDir(m.data); !errors.As(err, &held) || held.PID != pid {
		t.Errorf("the data directory is not locked by process %d: %v", pid, err)
	}
	if got := image(t, m.own.Previous()); got != m.own.Image {
		t.Errorf("the way back is %s, want %s", got, m.own.Image)
	}
	m.must("close")
	m.unwatched(attempt)
	if zombies := m.zombies(pid); zombies != "" {
		t.Errorf("the new image has children it knows nothing of: %s", zombies)
	}
}

// zombies are the children of pid.
func (m *member) zombies(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// The kernel keeps queueing connections on an inherited socket while nobody
// accepts: none is refused.
func TestNoConnectionIsRefusedDuringExec(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	swapped := make(chan struct{})
	go func() { defer close(swapped); m.swap("swap") }()
	for done := false; !done; {
		_, err := m.ask("who")
		if errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
		_, image, _ := m.who()
		done = image == next
	}
	<-swapped
}

// Whatever point the daemon is killed at: what is at the path runs, is the old
// executable or the new one, and the upgrade can be done.
func TestKilledAtEveryPointLeavesABinaryThatRuns(t *testing.T) {
	for _, point := range []string{"prepare-link", "prepare-attempt", "prepare-watcher", "rename", "rename-sync"} {
		for _, when := range []string{"before", "after"} {
			t.Run(point+" "+when, func(t *testing.T) {
				t.Parallel()
				killedAt(t, point, when)
			})
		}
	}
}

func killedAt(t *testing.T, point, when string) {
	reached := filepath.Join(t.TempDir(), "reached")
	m := newMember(t, os.Geteuid(), "", "THESEUS_CRASH="+point+":"+when, "THESEUS_CRASH_LOG="+reached)
	next := m.extract("good 2")
	if _, err := m.ask("arm 1 " + next); err == nil {
		m.swap("swap")
	}
	<-m.died
	if _, err := os.Stat(reached); err != nil {
		t.Fatalf("the point was not reached: %v\n%s", err, m.log)
	}
	got := strings.TrimSpace(m.output(t, m.path, "image"))
	if got != m.own.Image && got != next {
		t.Fatalf("at the path runs %s", got)
	}
	if a, open, err := m.own.Attempt(); open && a.Number == 1 && strings.HasPrefix(point, "rename") {
		m.serving() // the watcher starts it again
	} else if err != nil {
		t.Fatal(err)
	} else if len(m.processes("watch")) == 0 {
		m.start()
	}
	if _, now, _ := m.who(); now == m.own.Image {
		m.extract("good 2")
		m.arm(2, next)
		m.swap("swap")
	}
	m.becomes(next)
}

// A file that is still open for writing cannot be executed: the old image goes
// on in the same process, and the verdict says why.
func TestAFileThatCannotBeExecutedIsPutBackByTheDaemonItself(t *testing.T) {
	for _, bad := range []string{"text file busy", "exec format error"} {
		t.Run(bad, func(t *testing.T) {
			m := newMember(t, os.Geteuid(), "")
			pid := m.serving()
			var next string
			if bad == "text file busy" {
				next = m.extract("good 2")
			} else {
				next = m.extractBytes("not an executable")
			}
			m.arm(1, next)
			if bad == "text file busy" {
				w, err := os.OpenFile(m.own.Next(next), os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
			}
			m.swap("swap")
			if got, _ := m.becomes(m.own.Image); got != pid {
				t.Errorf("the pid is %d, it was %d", got, pid)
			}
			v, err := m.verdict()
			if err != nil || !v.PutBack || !strings.Contains(v.Reason, bad) || v.Attempt != 1 {
				t.Errorf("the verdict is %+v, %v", v, err)
			}
			if at := image(t, m.path); at != m.own.Image {
				t.Errorf("at the path is %s", at)
			}
		})
	}
}

// extractBytes lays a file beside the executable that is no executable.
func (m *member) extractBytes(text string) (image string) {
	m.t.Helper()
	from := filepath.Join(m.bin, "from")
	if err := os.WriteFile(from, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	defer os.Remove(from)
	image, err := FileImage(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.output(m.t, m.path, "extract", from)
	return image
}

func TestSwapRefusesAFileThatChangedAfterItWasHashed(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	if err := os.WriteFile(m.own.Next(next), variantBytes("exit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if answer, err := m.ask("swap"); err == nil || !strings.Contains(answer, "not "+next) {
		t.Errorf("it swapped: %q, %v", answer, err)
	}
	if at := image(t, m.path); at != m.own.Image {
		t.Errorf("at the path is %s", at)
	}
}

func TestArmRefusesANextExecutableWithOtherCapabilities(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	setcap(t, "cap_net_bind_service=ep", m.own.Next(next))
	if _, err := m.ask("arm 1 " + next); err == nil {
		t.Error("it armed")
	}
	if _, open, err := m.own.Attempt(); open || err != nil {
		t.Errorf("an attempt is open: %v, %v", open, err)
	}
}

// A package manager may have put another file at the path: the way back is the
// image that runs, with its capabilities, not that file.
func TestTheKeptExecutableIsTheRunningImageWhateverIsAtThePath(t *testing.T) {
	const caps = "cap_net_bind_service,cap_setfcap=ep"
	m := newMember(t, os.Geteuid(), caps)
	other := m.put(t, "other", "good 3", caps)
	if err := os.Rename(other, m.path); err != nil {
		t.Fatal(err)
	}
	next := m.extract("good 2")
	m.arm(1, next)
	if got := image(t, m.own.Previous()); got != m.own.Image {
		t.Errorf("kept is %s, the running image is %s", got, m.own.Image)
	}
	if got := getcap(t, m.own.Previous()); got != caps {
		t.Errorf("kept with capabilities %q, want %q", got, caps)
	}
}

func TestRestoreMayBeCalledAgainAndAfterAKill(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	o := &Own{Path: p.put(t, "theseusd", "new", "")}
	old := variantBytes("old")
	for _, path := range []string{o.Previous(), o.beside("part-restore")} {
		if err := os.WriteFile(path, old, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	want := image(t, o.Previous())
	for range 2 {
		if err := o.Restore(); err != nil {
			t.Fatal(err)
		}
		if got := image(t, o.Path); got != want {
			t.Errorf("at the path is %s, want %s", got, want)
		}
		if got := image(t, o.Previous()); got != want {
			t.Errorf("the way back is %s, want %s", got, want)
		}
	}
	if left := listing(t, p.bin); len(left) != 2 {
		t.Errorf("it left %v", left)
	}
}

func TestSweepLeavesTheWayBackOfAnOpenAttempt(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	next := m.extract("good 2")
	m.arm(1, next)
	if err := m.own.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got := image(t, m.own.Previous()); got != m.own.Image {
		t.Errorf("the way back is %s", got)
	}
	if _, err := os.Stat(m.own.Next(next)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next executable is there still: %v", err)
	}
	m.must("close")
	if err := m.own.Sweep(); err != nil {
		t.Fatal(err)
	}
	if left := listing(t, m.bin); len(left) != 1 {
		t.Errorf("it left %v", left)
	}
}

func TestTheLockOfADataDirectoryNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	f, err := LockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := LockDataDir(dir); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("locked twice: %v", err)
	}
	if pid, locked, err := holder(dir); pid != os.Getpid() || !locked || err != nil {
		t.Errorf("the holder is %d, %v, %v", pid, locked, err)
	}
	f.Close()
	if _, locked, err := holder(dir); locked || err != nil {
		t.Errorf("it is held by nobody: %v, %v", locked, err)
	}
	if f, err = LockDataDir(dir); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// A watcher that looks holds the lock for a moment; a start must bear with it.
func TestALookAtTheLockDoesNotRefuseAStart(t *testing.T) {
	dir := t.TempDir()
	look, err := os.Create(lockPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := flock(look, syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { look.Close() })
	f, err := LockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

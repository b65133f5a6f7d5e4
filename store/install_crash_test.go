//go:build crash

package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/internal/crash"
)

// TestMain lets the test binary play the member that dies.
func TestMain(m *testing.M) {
	if dir := os.Getenv("THESEUS_TEST_INSTALL"); dir != "" {
		os.Exit(installIn(dir))
	}
	os.Exit(m.Run())
}

// installIn installs a snapshot of the store in dir/from in the one in dir/to.
func installIn(dir string) int {
	t := &testing.T{}
	from, to := &ship{t: t, dir: filepath.Join(dir, "from")}, &ship{t: t, dir: filepath.Join(dir, "to")}
	from.reopen()
	to.reopen()
	if err := to.install(from.taken()); err != nil {
		println(err.Error())
		return 1
	}
	to.close()
	from.close()
	return 0
}

func runInstall(dir, at string) error {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "THESEUS_TEST_INSTALL="+dir, "THESEUS_CRASH="+at)
	c.Stderr = os.Stderr
	return c.Run()
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

func installPoints() []string {
	var points []string
	for _, p := range crash.Points() {
		if strings.HasPrefix(p, "install-") {
			points = append(points, p+":before", p+":after")
		}
	}
	return points
}

func TestAMemberKilledWhileASnapshotIsInstalledHasTheOldStateOrTheNew(t *testing.T) {
	load := newCargo(2*ChunkSize, 1)
	harbour := t.TempDir()
	from := laden(t, load)
	to := newShip(t)
	to.accepted(configAt(1, "n2"), commandAt(2, profile("old")))
	from.close()
	to.close()
	for _, s := range []struct{ name, dir string }{{"from", from.dir}, {"to", to.dir}} {
		if err := os.CopyFS(filepath.Join(harbour, s.name), os.DirFS(s.dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range installPoints() {
		t.Run(at, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(harbour)); err != nil {
				t.Fatal(err)
			}
			if err := runInstall(dir, at); !killed(err) {
				t.Fatalf("not killed: %v", err)
			}
			s := &ship{t: t, dir: filepath.Join(dir, "to")}
			s.reopen()
			if at == "install-flip:after" || strings.HasPrefix(at, "install-remove") {
				s.want(6, "a", "b")
				s.wantArchive(load)
			} else {
				s.want(2, "old")
			}
			s.wantOneGeneration()
			s.close()
			if err := runInstall(dir, ""); err != nil {
				t.Fatalf("again: %v", err)
			}
			s.reopen()
			s.want(6, "a", "b")
			s.wantArchive(load)
			s.close()
			checkFiles(t, s.dir)
		})
	}
}

func (s *ship) wantOneGeneration() {
	s.t.Helper()
	entries, err := os.ReadDir(s.state)
	if err != nil || len(entries) != 2 {
		s.t.Errorf("in state are %v, %v", entries, err)
	}
}

package binary

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// built is the daemon that the tests swap, without a variant.
var built []byte

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "theseus-binary-")
	if err == nil {
		out := filepath.Join(dir, "daemon")
		cmd := exec.Command("go", "build", "-tags", "crash", "-o", out, "./testdata/daemon")
		cmd.Stderr = os.Stderr
		if err = cmd.Run(); err == nil {
			built, err = os.ReadFile(out)
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the daemon that the tests swap:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// variantBytes is an executable that behaves as named: what follows the last "#"
// of the file, behind what the kernel looks at.
func variantBytes(variant string) []byte {
	return append(bytes.Clone(built), "#"+variant...)
}

const nobody = 65534

// place is a directory that every user can reach, with room for an executable
// and a data directory in it.
type place struct {
	bin, data string
	uid       int
}

func newPlace(t *testing.T, uid int) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "theseus-binary-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := place{filepath.Join(dir, "bin"), filepath.Join(dir, "data"), uid}
	for _, d := range []string{dir, p.bin, p.data} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
		p.own(t, d)
	}
	return p
}

func (p place) own(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() == p.uid {
		return
	}
	if err := os.Chown(path, p.uid, p.uid); err != nil {
		t.Fatalf("this test acts as an ordinary user and needs root to begin with: %v", err)
	}
}

// put writes an executable of this variant; caps is what setcap sets, if anything.
func (p place) put(t *testing.T, name, variant, caps string) string {
	t.Helper()
	path := p.write(t, name, variant)
	setcap(t, caps, path)
	return path
}

func (p place) write(t *testing.T, name, variant string) string {
	t.Helper()
	path := filepath.Join(p.bin, name)
	// A child forked by another test meanwhile would hold the file open for
	// writing, and it could not be executed.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, variantBytes(variant), 0o755); err != nil {
		t.Fatal(err)
	}
	p.own(t, path)
	return path
}

func setcap(t *testing.T, caps, path string) {
	t.Helper()
	if caps == "" {
		return
	}
	if out, err := exec.Command("setcap", caps, path).CombinedOutput(); err != nil {
		t.Fatalf("this test needs root and setcap: %v: %s", err, out)
	}
}

func getcap(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("getcap", path).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs getcap: %v: %s", err, out)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), path))
}

// command runs path as the place's user.
func (p place) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	if os.Geteuid() != p.uid {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.uid)}}
	}
	return cmd
}

// output runs path as the place's user to its end.
func (p place) output(t *testing.T, path string, args ...string) string {
	t.Helper()
	cmd := p.command(path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", path, args, err, &stderr)
	}
	return string(out)
}

func image(t *testing.T, path string) string {
	t.Helper()
	got, err := FileImage(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// until waits for a condition and fails with what it last said.
func until(t *testing.T, what string, holds func() error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

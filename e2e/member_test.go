package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// pretend starts a copy of the test binary as if it were m's theseusd.
func pretend(t *testing.T, m *Member, args ...string) *exec.Cmd {
	t.Helper()
	check(t, os.MkdirAll(m.Bin(), 0o755))
	path := filepath.Join(m.Bin(), "theseusd")
	if _, err := os.Stat(path); err != nil {
		check(t, copyFile(must[string](t)(os.Executable()), path))
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "E2E_PRETEND=1")
	must[any](t)(cmd.StdinPipe())
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func TestADaemonIsFoundAfterItsFileWasReplaced(t *testing.T) {
	m := &Member{Name: "n1", Dir: t.TempDir()}
	pretend(t, m, "watch")
	if p, runs := m.Daemon(); runs {
		t.Errorf("a watcher was taken for the daemon: %+v", p)
	}
	cmd := pretend(t, m, "--listen", "x")
	image := must[string](t)(FileImage(m.Binary()))
	check(t, os.WriteFile(m.Binary()+".next", []byte("new"), 0o755))
	check(t, os.Rename(m.Binary()+".next", m.Binary()))

	p, runs := m.Daemon()
	if !runs || p.PID != cmd.Process.Pid || p.Exe != m.Binary() {
		t.Fatalf("found %+v, %v; want process %d", p, runs, cmd.Process.Pid)
	}
	if got := must[string](t)(p.Image()); got != image {
		t.Errorf("it runs %s, not %s", got, image)
	}
}

func TestKillEndsEverythingThatRunsABinaryOfTheMember(t *testing.T) {
	m, other := &Member{Name: "n1", Dir: t.TempDir()}, &Member{Name: "n2", Dir: t.TempDir()}
	pretend(t, m, "watch")
	pretend(t, m, "--listen", "x")
	pretend(t, other, "--listen", "x")

	check(t, m.Kill(within(t)))

	if all, err := m.Processes(); err != nil || len(all) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
	if _, runs := other.Daemon(); !runs {
		t.Error("another member's process is gone")
	}
}

func TestTheKernelsNumbersOfAProcessAreRead(t *testing.T) {
	m := &Member{Name: "n1", Dir: t.TempDir()}
	pretend(t, m, "--listen", "x")
	p, _ := m.Daemon()
	for _, field := range []string{"CapEff", "RssAnon", "VmRSS"} {
		if got := must[string](t)(p.Status(field)); got == "" {
			t.Errorf("%s is empty", field)
		}
	}
	must[int64](t)(p.IO("write_bytes"))
	must[int64](t)(p.CPU())
	if _, err := p.Status("Nonsense"); err == nil {
		t.Error("a field that does not exist was read")
	}
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// underSystemd is a cluster whose members all run from the unit that we ship, in
// one systemd, as an ordinary user with file capabilities. Lines of settings beat
// those of the unit.
func underSystemd(t *testing.T, settings ...string) (*Cluster, *Machine) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("run as root: systemd is booted in namespaces of its own")
	}
	// The unit hides /tmp and makes all but a few places read-only: so not there.
	dir := must[string](t)(os.MkdirTemp("/opt", "theseus-e2e-"))
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	c := newCluster(t, func(p *Plan) {
		p.Dir, p.TrustedKey, p.User, p.Prepare = dir, "", nobody(), setcap(caps)
	})
	ctx := within(t)
	units := map[string]string{}
	for _, m := range c.Members {
		units[unit(m)] = serviceOf(t, m) + strings.Join(settings, "\n") + "\n"
	}
	for _, m := range c.Members {
		check(t, m.Stop(ctx))
	}
	s := must[*Machine](t)(BootSystemd(ctx, t.TempDir(), dir, units))
	t.Cleanup(func() { halt(t, s, c) })
	for _, m := range c.Members {
		must[string](t)(s.Systemctl(ctx, "start", "--no-block", unit(m)))
	}
	for _, m := range c.Members {
		check(t, m.AwaitReady(ctx))
		check(t, c.AwaitVoter(ctx, m))
		active(t, s, m)
	}
	return c, s
}

func halt(t *testing.T, s *Machine, c *Cluster) {
	ctx := context.Background()
	if t.Failed() {
		for _, m := range c.Members {
			out, err := s.Systemctl(ctx, "show", unit(m), "-p", "ActiveState,SubState,Result,NRestarts,StatusText,ExecMainStatus,ExecMainCode,ExecStartPre")
			t.Logf("%s: %s %v", m.Name, out, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.Halt(ctx); err != nil {
		t.Error(err)
	}
}

func unit(m *Member) string { return "theseusd-" + m.Name + ".service" }

// serviceOf is the shipped unit, at the places of m.
func serviceOf(t *testing.T, m *Member) string {
	t.Helper()
	raw := must[[]byte](t)(os.ReadFile(filepath.Join(shop.Root(), "docs/systemd/theseusd.service")))
	text := strings.ReplaceAll(string(raw), "/opt/theseus/bin", m.Bin())
	return text + fmt.Sprintf("\n[Service]\nUser=nobody\nExecStart=\nExecStart=%s %s\nReadWritePaths=%s\nWorkingDirectory=%s\nStandardOutput=append:%s\nStandardError=inherit\n",
		m.Binary(), strings.Join(m.args(), " "), m.Data(), m.Dir, m.Log())
}

func property(t *testing.T, s *Machine, m *Member, name string) string {
	t.Helper()
	return must[string](t)(s.Property(within(t), unit(m), name))
}

// active waits until systemd has heard that m serves.
func active(t *testing.T, s *Machine, m *Member) {
	t.Helper()
	ctx := within(t)
	check(t, Until(ctx, m.Name+" to be active", func() (bool, error) {
		state, err := s.Property(ctx, unit(m), "ActiveState")
		if err == nil && state != "active" {
			err = fmt.Errorf("it is %s", state)
		}
		return err == nil, err
	}))
}

// watchful is a watchdog that would end a daemon within each of these tests, if
// it did not hear from it.
const watchful = "WatchdogSec=5s"

func TestUnderSystemdUpgradesKeepTheProcess(t *testing.T) {
	t.Parallel()
	c, s := underSystemd(t, watchful)
	ctx := within(t)
	before, had, effective := must[Snapshot](t)(c.Look(ctx)), capabilities(t, c), effective(t, c)
	main := map[string]string{}
	for _, m := range c.Members {
		main[m.Name] = property(t, s, m, "MainPID")
	}
	for _, b := range []Build{v110, v120} {
		check(t, c.Staged(ctx, c.Members[1], unsigned(t, b.Version, b)))
		check(t, c.Run(ctx, c.Members[1], quick))

		if end := followed(t, c); end.Status != "finished" || !end.Completed {
			t.Fatalf("the upgrade ended %+v", end)
		}

		runs(t, c, before, b, samePID)
		for _, m := range c.Members {
			active(t, s, m)
			if got := property(t, s, m, "NRestarts"); got != "0" {
				t.Errorf("systemd has started %s again %s times", m.Name, got)
			}
			if got := property(t, s, m, "MainPID"); got != main[m.Name] {
				t.Errorf("the main process of %s is %s, it was %s", m.Name, got, main[m.Name])
			}
			if got, want := property(t, s, m, "StatusText"), "serving, version "+b.Version; got != want {
				t.Errorf("the status of %s is %q, want %q", m.Name, got, want)
			}
		}
		if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
			t.Errorf("file capabilities are not as before: %s", diff)
		}
		if diff := cmp.Diff(effective, effectiveOf(t, c)); diff != "" {
			t.Errorf("effective capabilities are not as before: %s", diff)
		}
	}
}

// systemd ends the watcher with the daemon: what heals one that dies is
// ExecStartPre. One that hangs is put back by the watcher, and ended once.
func TestABuildThatDoesNotLiveUnderSystemdIsPutBack(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct{ fault, run, says, restarts string }{
		{"exit", quick, "died 3 times", "3"},
		{"segv", quick, "died 3 times", "3"},
		{"hang-early", quick, "of life", "1"},
		{"hang-late", `{"probation":"10s"}`, "of life", "1"}, // within probation
	} {
		t.Run(bad.fault, func(t *testing.T) {
			c, s := underSystemd(t)
			ctx := within(t)
			before, had := must[Snapshot](t)(c.Look(ctx)), capabilities(t, c)
			check(t, c.Staged(ctx, c.Members[0], unsigned(t, "1.1.0", Build{Version: "1.1.0", Fault: bad.fault})))
			check(t, c.Run(ctx, c.Members[0], bad.run))

			end := followed(t, c)

			if end.Status != "failed" || !strings.Contains(end.Final, bad.says) {
				t.Errorf("the upgrade ended %+v", end)
			}
			healed(t, c, s, before, had, bad.restarts)
		})
	}
}

// healed checks that one member was started again so many times, the others never,
// and that the cluster is as it was before and takes writes.
func healed(t *testing.T, c *Cluster, s *Machine, before Snapshot, had map[string]string, restarts string) {
	t.Helper()
	ctx := within(t)
	var got []string
	for _, m := range c.Members {
		check(t, m.AwaitReady(ctx))
		active(t, s, m)
		if n := property(t, s, m, "NRestarts"); n != "0" {
			got = append(got, n)
		}
	}
	if diff := cmp.Diff([]string{restarts}, got); diff != "" {
		t.Errorf("restarts by systemd: %s", diff)
	}
	runs(t, c, before, v100, anyPID)
	if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
	check(t, c.CreateProfile(ctx, c.Members[0], "after"))
}

func TestOneKillUnderSystemdIsNoVerdict(t *testing.T) {
	t.Parallel()
	c, s := underSystemd(t)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	check(t, c.Staged(ctx, c.Members[0], unsigned(t, "1.1.0", v110)))
	check(t, c.Run(ctx, c.Members[0], `{"probation":"5s"}`))
	var killed *Member
	check(t, Until(ctx, "a member in probation", func() (bool, error) {
		status, err := c.Status(ctx, c.Members[0])
		for _, n := range status.Nodes {
			if n.Step == string(model.Probation) {
				killed = c.Named(n.Name)
			}
		}
		return killed != nil, err
	}))
	check(t, killed.Signal(syscall.SIGKILL))

	end := followed(t, c)

	if end.Status != "finished" {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, anyPID)
	for _, m := range c.Members {
		want := "0"
		if m == killed {
			want = "1"
		}
		if got := property(t, s, m, "NRestarts"); got != want {
			t.Errorf("systemd has started %s again %s times, want %s", m.Name, got, want)
		}
	}
}

func TestADaemonThatStandsStillIsEndedBySystemdsWatchdog(t *testing.T) {
	t.Parallel()
	c, s := underSystemd(t, watchful, "TimeoutAbortSec=1s")
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := followers(t, c)[0]
	check(t, m.Signal(syscall.SIGSTOP))
	check(t, Until(ctx, "systemd to start it again", func() (bool, error) {
		n, err := s.Property(ctx, unit(m), "NRestarts")
		return n == "1", err
	}))
	check(t, m.AwaitReady(ctx))
	active(t, s, m)
	after := must[Snapshot](t)(c.Look(ctx))
	for name, was := range before.Members {
		if same := after.Members[name].PID == was.PID; same == (name == m.Name) {
			t.Errorf("%s was process %d and is %d", name, was.PID, after.Members[name].PID)
		}
	}
}

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// underRunit is a cluster whose members all run from the run script that we
// ship, each under a runsv, as an ordinary user with file capabilities.
func underRunit(t *testing.T, flags ...string) (*Cluster, supervisors) {
	t.Helper()
	c := newCluster(t, func(p *Plan) {
		p.User = nobody()
		p.Prepare = func(m *Member) error {
			m.Args = append(m.Args, flags...)
			return setcap(caps)(m)
		}
	})
	ctx := within(t)
	for _, m := range c.Members {
		check(t, m.Stop(ctx))
	}
	above := supervisors{}
	for _, m := range c.Members {
		above[m.Name] = runsv(t, m)
	}
	for _, m := range c.Members {
		check(t, m.AwaitReady(ctx))
		check(t, c.AwaitVoter(ctx, m))
	}
	return c, above
}

// supervisors are the PIDs of the runsv above the members, by name.
type supervisors map[string]int

// intact checks that every daemon is a child of its runsv: nobody else started it.
func (s supervisors) intact(t *testing.T, c *Cluster) {
	t.Helper()
	for _, m := range c.Members {
		p, runs := m.Daemon()
		if !runs {
			t.Errorf("%s does not run", m.Name)
			continue
		}
		if got, want := must[string](t)(p.Status("PPid")), strconv.Itoa(s[m.Name]); got != want {
			t.Errorf("the parent of %s is process %s, not its runsv, %s", m.Name, got, want)
		}
	}
}

// runsv starts the supervisor of m, which ends with the test.
func runsv(t *testing.T, m *Member) (pid int) {
	t.Helper()
	raw := must[[]byte](t)(os.ReadFile(filepath.Join(shop.Root(), "docs/runit/run")))
	script := strings.NewReplacer("/opt/theseus/bin", m.Bin(), "-u theseus", "-u nobody:nogroup").Replace(string(raw))
	script = strings.TrimSuffix(script, "\n") + " " + strings.Join(m.args(), " ") + "\n"
	dir := filepath.Join(m.Dir, "service")
	check(t, os.Mkdir(dir, 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o755))
	log := must[*os.File](t)(os.OpenFile(m.Log(), os.O_APPEND|os.O_WRONLY, 0))
	defer log.Close()
	cmd := exec.Command("runsv", dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	check(t, cmd.Start())
	t.Cleanup(func() {
		check(t, cmd.Process.Kill())
		cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestUnderRunitGoodBuildsAreTaken(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"exec", "exit"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c, above := underRunit(t, "--restart", way)
			before, had := must[Snapshot](t)(c.Look(within(t))), capabilities(t, c)

			if end := upgraded(t, c, v110, quick); end.Status != "finished" || !end.Completed {
				t.Errorf("the upgrade ended %+v", end)
			}

			same := way == "exec"
			runs(t, c, before, v110, same)
			above.intact(t, c)
			after := must[Snapshot](t)(c.Look(within(t)))
			for _, m := range c.Members {
				if (before.Members[m.Name].PID == after.Members[m.Name].PID) != same {
					t.Errorf("%s was process %d and is %d", m.Name, before.Members[m.Name].PID, after.Members[m.Name].PID)
				}
			}
			if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
				t.Errorf("capabilities are not as before: %s", diff)
			}
		})
	}
}

func TestABuildThatDoesNotLiveUnderRunitIsPutBack(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct{ fault, says string }{
		{"exit", "died 3 times"},
		{"segv", "died 3 times"},
		{"hang-early", "of life"},
	} {
		t.Run(bad.fault, func(t *testing.T) {
			t.Parallel()
			c, above := underRunit(t)
			ctx := within(t)
			before, had := must[Snapshot](t)(c.Look(ctx)), capabilities(t, c)

			end := upgraded(t, c, Build{Version: "1.1.0", Fault: bad.fault}, quick)

			if end.Status != "failed" || !strings.Contains(end.Final, bad.says) {
				t.Errorf("the upgrade ended %+v", end)
			}
			for _, m := range c.Members {
				check(t, m.AwaitReady(ctx))
			}
			runs(t, c, before, v100, anyPID)
			above.intact(t, c)
			if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
				t.Errorf("capabilities are not as before: %s", diff)
			}
			check(t, c.CreateProfile(ctx, c.Members[0], "after"))
		})
	}
}

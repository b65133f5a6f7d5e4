package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// supervisor starts a member again whenever it ends, as runit or systemd would.
type supervisor struct {
	end    context.CancelFunc
	done   sync.WaitGroup
	starts int // read it after stop
	err    error
}

func supervise(ctx context.Context, m *Member) *supervisor {
	ctx, end := context.WithCancel(ctx)
	s := &supervisor{end: end}
	s.done.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for s.err == nil {
			if _, runs := m.Daemon(); !runs {
				s.starts++
				s.err = m.Start()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return s
}

func (s *supervisor) stop() {
	s.end()
	s.done.Wait()
}

// exiting gives m capabilities, a supervisor to rely on and a CLI to look after.
func exiting(m *Member) error {
	m.Args = append(m.Args, "--restart", "exit", "--cli-path", cliOf(m))
	return setcap(caps)(m)
}

func cliOf(m *Member) string { return filepath.Join(m.Bin(), "theseus") }

func TestMembersThatExitAreStartedBySupervisorsAndTheirCLIsFollow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Prepare = exiting })
	ctx := within(t)
	before, had := must[Snapshot](t)(c.Look(ctx)), capabilities(t, c)
	supervisors := map[string]*supervisor{}
	for _, m := range c.Members {
		supervisors[m.Name] = supervise(ctx, m)
		t.Cleanup(supervisors[m.Name].stop)
	}

	end := upgraded(t, c, v110, quick)

	if end.Status != "finished" || !end.Completed {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, anyPID)
	after := must[Snapshot](t)(c.Look(ctx))
	for _, m := range c.Members {
		s := supervisors[m.Name]
		s.stop()
		if s.starts != 1 || s.err != nil {
			t.Errorf("%s was started %d times by its supervisor, want once: %v", m.Name, s.starts, s.err)
		}
		if before.Members[m.Name].PID == after.Members[m.Name].PID {
			t.Errorf("%s is the same process", m.Name)
		}
		copyOf(t, cliOf(m), filepath.Join(binaries(t, v110), "theseus"))
		copyOf(t, filepath.Join(m.Bin(), ".theseus.previous"), filepath.Join(binaries(t, v100), "theseus"))
	}
	if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
	check(t, c.Members[0].Stop(ctx)) // and nothing starts it again
}

func TestABuildThatDiesUnderASupervisorIsPutBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size, p.Prepare = 1, exiting })
	ctx := within(t)
	m, before, had := c.Members[0], must[Snapshot](t)(c.Look(ctx)), capabilities(t, c)
	check(t, c.Staged(ctx, m, archive(t, Build{Version: "1.1.0", Fault: "exit"})))
	s := supervise(ctx, m)
	t.Cleanup(s.stop)
	check(t, c.Run(ctx, m, quick))

	end := followed(t, c)

	if end.Status != "failed" || !strings.Contains(end.Final, "died 3 times") {
		t.Errorf("the upgrade ended %+v", end)
	}
	check(t, m.AwaitReady(ctx))
	runs(t, c, before, v100, anyPID)
	copyOf(t, cliOf(m), filepath.Join(binaries(t, v100), "theseus"))
	if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
}

// copyOf checks that two files are the same.
func copyOf(t *testing.T, path, as string) {
	t.Helper()
	got, want := must[string](t)(FileImage(path)), must[string](t)(FileImage(as))
	if got != want {
		t.Errorf("%s is %s, not %s as %s", path, got, want, as)
	}
}

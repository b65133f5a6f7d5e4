package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// swap puts the theseusd of b in the place of m's, by rename: the one that is
// there may run.
func (m *Member) swap(t *testing.T, b Build) {
	t.Helper()
	next := m.Binary() + ".new"
	check(t, copyFile(filepath.Join(binaries(t, b), "theseusd"), next))
	check(t, os.Rename(next, m.Binary()))
}

// startContained starts m as PID 1 of a PID namespace of its own, as a container
// would.
func (m *Member) startContained() error {
	log, err := os.OpenFile(m.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("unshare", append([]string{"--pid", "--fork", "--mount-proc", m.Binary()}, m.args()...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.Dir, log, log
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.Dir}, m.Env...)
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// complaints are what m has to say in its info.
func (c *Cluster) complaints(ctx context.Context, m *Member) (string, error) {
	var info model.Info
	err := c.Get(ctx, m, "/api/v3/info", &info)
	return strings.Join(info.Errors, "\n"), err
}

// says waits until m complains of all of words.
func (c *Cluster) says(t *testing.T, m *Member, words ...string) {
	t.Helper()
	ctx := within(t)
	check(t, Until(ctx, m.Name+" to say "+strings.Join(words, ", "), func() (bool, error) {
		all, err := c.complaints(ctx, m)
		for _, w := range words {
			if !strings.Contains(all, w) {
				return false, errors.Join(err, errors.New("it says "+all))
			}
		}
		return true, nil
	}))
}

// The route is that of docs/manual-upgrade.md; one of the members is in a container.
func TestAContainerIsRefusedAndTheManualRouteWorks(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Prepare = setcap(caps) })
	ctx := within(t)
	contained := followers(t, c)[1]
	check(t, contained.Stop(ctx))
	check(t, contained.startContained())
	check(t, contained.AwaitReady(ctx))
	before := must[Snapshot](t)(c.Look(ctx))

	a := must[Answer](t)(c.Stage(ctx, c.Members[0], archive(t, v110)))

	refused(t, a, http.StatusUnprocessableEntity, contained.Name+": not PID 1", "one member at a time", "docs/manual-upgrade.md")
	answered(t, must[Answer](t)(c.Do(ctx, c.Members[0], get(statusPath))), nil, http.StatusNotFound)
	runs(t, c, before, v100, samePID)
	check(t, Until(ctx, "what was unpacked to be gone", func() (bool, error) {
		left, err := filepath.Glob(filepath.Join(c.Members[0].Dir, "..", "*", "bin", ".theseusd.next-*"))
		return len(left) == 0, err
	}))

	leader := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	for _, m := range append(followers(t, c), leader) {
		check(t, m.Stop(ctx))
		m.swap(t, v110)
		check(t, setcap(caps)(m))
		start := m.Start
		if m == contained {
			start = m.startContained
		}
		check(t, start())
		check(t, m.AwaitReady(ctx))
		c.says(t, m, m.Name+": runs 1.1.0, and the cluster is at 1.0.0")
	}
	byHand := must[Snapshot](t)(c.Look(ctx))
	out := must[string](t)(c.CLI(ctx, c.Members[0], "system", "upgrade", archive(t, v110), "-o", "json"))

	end := followed(t, c)
	if end.Status != "finished" || !end.Completed {
		t.Errorf("the upgrade ended %+v\n%s", end, out)
	}
	runs(t, c, byHand, v110, samePID)
	if said := must[string](t)(c.complaints(ctx, c.Members[0])); said != "" {
		t.Errorf("it says still: %s", said)
	}
}

func TestABinaryReplacedByHandIsShownAndServesOnlyIfItMayFollow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	m := c.Members[0]
	m.swap(t, v120)
	c.says(t, m, "n1: its executable "+m.Binary()+" was replaced while it runs")
	check(t, m.Stop(ctx))
	refuses(t, m, "skips a minor version", "go to 1.1.x first", "put theseusd 1.0.0 back")

	m.swap(t, v110)
	serves(t, m)
	must[string](t)(c.CLI(ctx, m, "system", "upgrade", archive(t, v110)))
	var info model.Info
	check(t, c.Get(ctx, m, "/api/v3/info", &info))
	if info.ClusterVersion != "1.1.0" {
		t.Errorf("the cluster is at %s", info.ClusterVersion)
	}

	check(t, m.Stop(ctx))
	m.swap(t, v100)
	refuses(t, m, "the state is newer than this binary", "put theseusd 1.1.0 there")
	m.swap(t, v110)
	serves(t, m)
}

func serves(t *testing.T, m *Member) {
	t.Helper()
	check(t, m.Start())
	check(t, m.AwaitReady(within(t)))
}

// refuses runs the daemon to its end, which comes at once, and checks what it says.
func refuses(t *testing.T, m *Member, words ...string) {
	t.Helper()
	_, err := output(within(t), m.Dir, nil, m.Binary(), m.args()...)
	var failed *CommandError
	if !errors.As(err, &failed) {
		t.Fatalf("it ended with %v", err)
	}
	for _, w := range words {
		if !strings.Contains(failed.Stderr, w) {
			t.Errorf("it says nothing of %q: %s", w, failed.Stderr)
		}
	}
}

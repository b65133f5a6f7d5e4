package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestAFailedUpgradeGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	rest := followers(t, c)
	slices.SortFunc(rest, func(a, b *Member) int { return strings.Compare(a.Name, b.Name) })
	first, last := rest[0], rest[1] // in the order in which they go
	through := c.Named(must[Snapshot](t)(c.Look(ctx)).Leader)
	check(t, c.Staged(ctx, through, archive(t, v110)))
	check(t, c.Run(ctx, through, `{"probation":"3s","deadline":"3s"}`))
	check(t, Until(ctx, "the first member to be on probation", func() (bool, error) { return c.anyAt(ctx, through, model.Probation) }))
	check(t, last.Signal(syscall.SIGSTOP))

	failed := Status{}
	check(t, Until(ctx, "the upgrade to fail", func() (_ bool, err error) {
		failed, err = c.Status(ctx, through)
		return failed.Status == "failed", err
	}))

	if want := last.Name + ": did not take its turn within 3s"; !strings.Contains(failed.Final, want) {
		t.Errorf("final state %q, want %q", failed.Final, want)
	}
	check(t, last.Signal(syscall.SIGCONT))
	check(t, last.AwaitReady(ctx))
	middle := must[Snapshot](t)(c.Look(ctx))
	check(t, c.Run(ctx, through, quick))
	end := followed(t, c)
	if end.Status != "finished" || !end.Completed {
		t.Errorf("started again the upgrade ended %+v", end)
	}
	runs(t, c, middle, v110, samePID)
	claims := strings.Count(strings.Join(end.Transcript, "\n"), first.Name+": claimed")
	if claims != 1 {
		t.Errorf("%s, which was done, claimed %d times", first.Name, claims)
	}
}

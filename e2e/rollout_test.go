package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func TestARollingUpgradeIsNoticedByNobody(t *testing.T) {
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	load := must[*Load](t)(c.StartLoad(ctx, 20*time.Millisecond))
	watch := c.Watch(ctx)

	end := upgraded(t, c, v110, quick)

	tallies := load.Stop()
	looks, two := watch.Stop()
	if end.Status != string(model.Finished) || !end.Completed || end.To != "1.1.0" {
		t.Errorf("the upgrade ended %+v", end)
	}
	if tallies.Failed() != 0 || tallies.Requests() == 0 {
		t.Errorf("%d of %d requests failed: %v", tallies.Failed(), tallies.Requests(), tallies.Failures())
	}
	if looks == 0 || len(two) != 0 {
		t.Errorf("looked %d times, two members were out at once: %v", looks, two)
	}
	if err := load.Lost(ctx, c.Members[0]); err != nil {
		t.Error(err)
	}
	runs(t, c, before, v110, samePID)
	verified(t, c, v110.Version)
	var kept model.BackupList
	check(t, c.Get(ctx, c.Members[0], "/api/v3/backups", &kept))
	if len(kept.Backups) != 1 || kept.Backups[0].Version != "1.0.0" || !strings.Contains(strings.Join(end.Transcript, "\n"), kept.Backups[0].Name) {
		t.Errorf("the backups are %+v", kept)
	}
	t.Logf("%d requests, out of service for %s, writes stalled for %s", tallies.Requests(), tallies.LongestGap(), tallies.LongestStall())
}

const (
	samePID = true
	anyPID  = false
)

// runs checks that every member runs b: the kernel, the member and the disk say so.
func runs(t *testing.T, c *Cluster, before Snapshot, b Build, same bool) {
	t.Helper()
	after := must[Snapshot](t)(c.Look(within(t)))
	image := must[string](t)(FileImage(filepath.Join(binaries(t, b), "theseusd")))
	for _, m := range c.Members {
		was, is := before.Members[m.Name], after.Members[m.Name]
		want := Running{PID: is.PID, Image: image, Version: b.Version, Says: image}
		if same {
			want.PID = was.PID
		}
		if diff := cmp.Diff(want, is); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
		if got := must[string](t)(FileImage(m.Binary())); got != image {
			t.Errorf("%s has %s on its disk, not %s", m.Name, got, image)
		}
	}
}

func TestAllMembersKilledAtOnceFinishWhenStartedAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, quick))
	check(t, Until(ctx, "a member to be on probation", func() (bool, error) { return c.anyAt(ctx, m, model.Probation) }))

	check(t, c.Stop(ctx))
	for _, m := range c.Members {
		check(t, m.Start())
	}

	if end := followed(t, c); end.Status != string(model.Finished) {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, anyPID)
}

func TestUnstagingWhileWorkingEndsTheStepAndClearsEverything(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, `{"probation":"3s"}`))
	check(t, Until(ctx, "a member to be on probation", func() (bool, error) { return c.anyAt(ctx, m, model.Probation) }))

	a, err := c.Unstage(ctx, m)
	answered(t, a, err, http.StatusAccepted)

	check(t, Until(ctx, "the upgrade to be cleared", func() (bool, error) {
		a, err := c.Do(ctx, m, get(statusPath))
		return a.Status == http.StatusNotFound, err
	}))
	after := must[Snapshot](t)(c.Look(ctx))
	versions := map[string]int{}
	for _, r := range after.Members {
		versions[r.Version]++
	}
	if diff := cmp.Diff(map[string]int{"1.0.0": 2, "1.1.0": 1}, versions); diff != "" {
		t.Errorf("the step under way did not end, or another began: %s", diff)
	}
	for _, m := range c.Members {
		check(t, Until(ctx, m.Name+" to drop the archive", func() (bool, error) { return len(archives(t, m)) == 0, nil }))
	}
}

func TestAConsistentReadThroughADeposedLeaderIsNotStale(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	leader := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	follower := followers(t, c)[0]
	check(t, c.CreateProfile(ctx, follower, "fresh"))
	write := func(value string) {
		a, err := c.Do(ctx, follower, Text("POST", "/api/v3/profiles/fresh/params/k", "", value))
		answered(t, a, err, http.StatusOK)
	}
	write(`"old"`)
	conn := must[*Conn](t)(Dial(ctx, leader.API, c.CA))
	defer conn.Close()

	check(t, leader.Signal(syscall.SIGSTOP))
	check(t, Until(ctx, "another leader", func() (bool, error) {
		now, err := c.Leader(ctx, follower)
		return err == nil && now != leader, err
	}))
	write(`"new"`)
	// The question waits in the socket when the old leader wakes up, so that it
	// is answered before anything else can be learnt.
	question := get("/api/v3/profiles/fresh/params/k?consistent=true")
	question.Auth = c.Auth
	check(t, conn.send(question))
	check(t, leader.Signal(syscall.SIGCONT))

	a := must[Answer](t)(conn.read(question.Method))
	if a.Status == http.StatusOK && strings.TrimSpace(string(a.Body)) != `"new"` {
		t.Errorf("a consistent read through the old leader is stale: %s", a.Body)
	}
	if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
		t.Errorf("a consistent read through the old leader: %v", unexpected(a))
	}
}

package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// v120 comes after 1.1.0 and reads what that writes.
var v120 = Build{Version: "1.2.0", Tags: "era"}

func TestAMemberThatWasDownForTheWholeRolloutFollowsByItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	away := followers(t, c)[1]
	check(t, away.Stop(ctx))

	upgradedWithout(t, c, v110, away)
	if s := must[Status](t)(c.Status(ctx, c.up(away)[0])); s.Completed {
		t.Error("it is completed although a member has not followed")
	}
	check(t, away.Start())

	check(t, Until(ctx, "completion", func() (bool, error) {
		s, err := c.Status(ctx, c.up(away)[0])
		return s.Completed, err
	}))
	runs(t, c, before, v110, anyPID)
}

// The member comes back to a log that was compacted away and to records that it
// cannot read; the archives are cleared away everywhere.
func TestAMemberThatSleptThroughTwoCompletedReleasesTakesTheSecondFromAPeer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	away := followers(t, c)[1]
	check(t, c.CreateProfile(ctx, away, "kept"))
	check(t, away.Stop(ctx))
	for _, b := range []Build{v110, v120} {
		upgradedWithout(t, c, b, away)
		completed(t, c, away)
		a, err := c.Unstage(ctx, c.up(away)[0])
		answered(t, a, err, http.StatusOK)
	}
	check(t, away.Start())

	image := must[string](t)(FileImage(filepath.Join(binaries(t, v120), "theseusd")))
	check(t, Until(ctx, away.Name+" to run 1.2.0 on probation or past it", func() (bool, error) {
		peers, err := c.Peers(ctx, c.up(away)[0])
		for _, p := range peers {
			if p.Name == away.Name && p.Image == image && !p.Offline {
				return true, err
			}
		}
		return false, err
	}))
	check(t, away.AwaitReady(ctx))
	if log := away.LogTail(1000); !strings.Contains(log, "store stopped") || !strings.Contains(log, "catching up with the cluster") {
		t.Error("it did not stop at what it cannot read, or did not take the release from a peer")
	}
	runs(t, c, before, v120, anyPID)
	a, err := c.Do(ctx, away, get("/api/v3/profiles/kept?consistent=true"))
	answered(t, a, err, http.StatusOK)
	check(t, Until(ctx, "its attempt to be closed", func() (bool, error) {
		_, err := os.Stat(filepath.Join(away.Bin(), ".theseusd.attempt"))
		return os.IsNotExist(err), nil
	}))
}

// up are the members but for one.
func (c *Cluster) up(away *Member) []*Member {
	var rest []*Member
	for _, m := range c.Members {
		if m != away {
			rest = append(rest, m)
		}
	}
	return rest
}

// upgradedWithout upgrades all members but one that is down, to the end.
func upgradedWithout(t *testing.T, c *Cluster, b Build, away *Member) {
	t.Helper()
	ctx := within(t)
	m := c.up(away)[0]
	f := must[*os.File](t)(os.Open(archive(t, b)))
	defer f.Close()
	a, err := c.Do(ctx, m, Request{Method: "POST", Path: stagePath + "?exclude=" + away.Name, Body: f, Size: -1})
	answered(t, a, err, http.StatusCreated)
	check(t, c.Run(ctx, m, `{"probation":"1s","ignore":["quorum"],"exclude":["`+away.Name+`"]}`))
	check(t, Until(ctx, "the others to finish", func() (bool, error) {
		s, err := askAny(ctx, c, away)
		if s.Status == string(model.Failed) {
			t.Fatalf("it failed: %s", s.Final)
		}
		return s.Status == string(model.Finished), err
	}))
}

// askAny is the status from whichever member answers.
func askAny(ctx context.Context, c *Cluster, away *Member) (s Status, err error) {
	for _, m := range c.up(away) {
		ask, cancel := context.WithTimeout(ctx, staleAfter)
		s, err = c.Status(ask, m)
		cancel()
		if err == nil {
			return s, nil
		}
	}
	return s, err
}

// completed completes the upgrade without a member, and waits until what that
// opens is in use: only a build that knows it can go on reading.
func completed(t *testing.T, c *Cluster, away *Member) {
	t.Helper()
	ctx := within(t)
	m := c.up(away)[0]
	a, err := c.Do(ctx, m, Text("POST", "/api/v3/system/upgrade/complete", "", ""))
	check(t, err)
	refused(t, a, http.StatusConflict, away.Name, "complete without it")
	a, err = c.Do(ctx, m, Text("POST", "/api/v3/system/upgrade/complete", "", `{"without":["`+away.Name+`"]}`))
	answered(t, a, err, http.StatusOK)
}

func TestAMemberThatJoinsWhileAnArchiveIsStagedGetsItAndGoesWithTheRest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 2 })
	ctx := within(t)
	check(t, c.Staged(ctx, c.Members[0], archive(t, v110)))
	m := must[*Member](t)(Plan{Dir: filepath.Dir(c.Members[0].Dir), Bin: binaries(t, v100), TrustedKey: key(t, "release") + ".pub"}.member(2))
	c.Members = append(c.Members, m)
	check(t, c.Join(ctx, m))
	check(t, Until(ctx, "the archive on the disk of the joiner", func() (bool, error) { return len(archives(t, m)) == 1, nil }))
	before := must[Snapshot](t)(c.Look(ctx))

	check(t, c.Run(ctx, m, quick))
	if end := followed(t, c); end.Status != string(model.Finished) || !end.Completed || len(end.Nodes) != 3 {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, samePID)
}

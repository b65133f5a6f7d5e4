package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func TestAnObserverIsUpgradedBeforeTheVoters(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 2 })
	ctx := within(t)
	o := further(t, c, "--observer")
	check(t, c.Invite(ctx, o))
	check(t, o.Start())
	check(t, o.AwaitReady(ctx))
	c.Members = append(c.Members, o)
	before := must[Snapshot](t)(c.Look(ctx))
	check(t, c.CreateProfile(ctx, o, "through-the-observer"))
	leader := must[*Member](t)(c.Leader(ctx, o))
	follower := followers(t, c)[0]
	if follower == o {
		follower = followers(t, c)[1]
	}

	check(t, c.Staged(ctx, o, archive(t, v110)))
	check(t, c.Run(ctx, o, quick))
	end := followed(t, c)

	if end.Status != string(model.Finished) || !end.Completed {
		t.Errorf("the upgrade ended %+v", end)
	}
	if diff := cmp.Diff([]string{o.Name, follower.Name, leader.Name}, turns(end.Transcript)); diff != "" {
		t.Errorf("the order was another: %s", diff)
	}
	runs(t, c, before, v110, samePID)
	for _, p := range must[[]model.Peer](t)(c.Peers(ctx, o)) {
		if observes := p.Name == o.Name; p.Observer != observes || p.Voter == observes {
			t.Errorf("%s: voter %v, observer %v", p.Name, p.Voter, p.Observer)
		}
	}
}

// turns are the members in the order in which they claimed their turns.
func turns(transcript []string) (names []string) {
	for _, line := range transcript {
		if words := strings.Fields(line); len(words) == 3 && words[2] == "claimed" {
			names = append(names, strings.TrimSuffix(words[1], ":"))
		}
	}
	return names
}

// further is one more member of c that has not been started, with flags of its own.
func further(t *testing.T, c *Cluster, flags ...string) *Member {
	t.Helper()
	return furtherOf(t, c, v100, flags...)
}

func furtherOf(t *testing.T, c *Cluster, b Build, flags ...string) *Member {
	t.Helper()
	p := Plan{Dir: filepath.Dir(c.Members[0].Dir), Bin: binaries(t, b), TrustedKey: key(t, "release") + ".pub"}
	m := must[*Member](t)(p.member(len(c.Members)))
	m.Args = append(m.Args, flags...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", m.Name, m.LogTail(40))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Kill(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestAnObserverCannotBeginACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	o := further(t, c, "--observer")
	check(t, o.Start())
	check(t, Until(within(t), "it to give up", func() (bool, error) {
		_, runs := o.Daemon()
		return !runs && strings.Contains(o.LogTail(20), "an observer cannot begin a cluster"), nil
	}))
}

// A stand-alone member is the first of a cluster as soon as another joins it; what
// it had stays. What the joiner had is put aside.
func TestAStandAloneMemberWithDataJoinsAnother(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	check(t, c.CreateProfile(ctx, c.Members[0], "kept"))
	m := further(t, c)
	check(t, m.Start())
	check(t, m.AwaitReady(ctx))
	id := must[[]byte](t)(os.ReadFile(filepath.Join(m.Data(), "member.json")))
	check(t, m.Stop(ctx))

	check(t, c.Invite(ctx, m))
	check(t, m.Start())
	check(t, c.AwaitVoter(ctx, m))
	check(t, m.AwaitReady(ctx))
	c.Members = append(c.Members, m)

	a, err := c.Do(ctx, m, get("/api/v3/profiles/kept?consistent=true"))
	answered(t, a, err, http.StatusOK)
	aside := must[[]string](t)(filepath.Glob(filepath.Join(m.Data(), "before-join-*", "member.json")))
	if len(aside) != 1 || !slices.Equal(must[[]byte](t)(os.ReadFile(aside[0])), id) {
		t.Errorf("what it had is in %v", aside)
	}
	check(t, m.Stop(ctx)) // the same command line starts it ever after
	check(t, m.Start())
	check(t, m.AwaitReady(ctx))
}

// The steps are those of docs/recovery.md.
func TestTheLastMemberOfThreeIsRecoveredWithAPeersFile(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	check(t, c.CreateProfile(ctx, c.Members[0], "kept"))
	last := c.Members[2]
	a, err := c.Do(ctx, last, get("/api/v3/profiles/kept?consistent=true"))
	answered(t, a, err, http.StatusOK)
	peers := must[[]model.Peer](t)(c.Peers(ctx, last))
	for _, m := range c.Members {
		check(t, m.Kill(ctx))
	}
	i := slices.IndexFunc(peers, func(p model.Peer) bool { return p.Name == last.Name })
	file := `[{"id":"` + peers[i].ConsensusID + `","address":"` + peers[i].ConsensusAddr + `","non_voter":false}]`
	check(t, os.WriteFile(filepath.Join(last.Data(), "peers.json"), []byte(file), 0o600))
	check(t, last.Start())
	check(t, last.AwaitReady(ctx))

	check(t, c.CreateProfile(ctx, last, "written-after"))
	a, err = c.Do(ctx, last, get("/api/v3/profiles/kept"))
	answered(t, a, err, http.StatusOK)
	c.Members = []*Member{last}
	check(t, Until(ctx, "the lost members to be forgotten", func() (bool, error) {
		left, err := c.Peers(ctx, last)
		return len(left) == 1, err
	}))
	m := further(t, &Cluster{Members: []*Member{last, nil, nil}})
	check(t, c.Join(ctx, m))
	c.Members = append(c.Members, m)
	a, err = c.Do(ctx, m, get("/api/v3/profiles/written-after?consistent=true"))
	answered(t, a, err, http.StatusOK)
}

// Nobody could tell it while it was down.
func TestAMemberThatWasDownWhenItWasRemovedSaysSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	gone := followers(t, c)[1]
	rest := c.up(gone)
	check(t, gone.Kill(ctx))
	must[string](t)(c.CLI(ctx, rest[0], "system", "ha", "remove", gone.Name))
	check(t, gone.Start())
	check(t, Until(ctx, "it to say so", func() (bool, error) {
		a, err := c.Do(ctx, gone, get("/readyz"))
		return a.Status == http.StatusServiceUnavailable && strings.Contains(string(a.Body), "this member was removed from the cluster"), err
	}))
	for _, m := range rest {
		a, err := c.Do(ctx, m, get("/readyz"))
		answered(t, a, err, http.StatusOK)
	}
}

func TestAMemberThatWasDownCleansUpWhenItIsBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	away := followers(t, c)[1]
	check(t, c.Staged(ctx, c.up(away)[0], archive(t, v110)))
	check(t, away.Signal(syscall.SIGKILL))
	check(t, Until(ctx, "it to be gone", away.gone))
	a, err := c.Unstage(ctx, c.up(away)[0])
	answered(t, a, err, http.StatusOK)
	if len(archives(t, away)) != 1 {
		t.Fatal("it has nothing to clean up")
	}
	check(t, away.Start())
	check(t, Until(ctx, "its disk to be clean", func() (bool, error) {
		left, err := filepath.Glob(filepath.Join(away.Bin(), ".theseusd.next-*"))
		return len(archives(t, away)) == 0 && len(left) == 0, err
	}))
}

func TestFailOverIsSafeAsLongAsAnotherVoterIsUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	ask := func() string {
		return strings.TrimSpace(must[string](t)(c.CLI(ctx, c.Members[0], "system", "ha", "failOverSafe", "2s", "-o", "json")))
	}
	if got := ask(); got != "false" {
		t.Errorf("alone: %s", got)
	}
	m := further(t, c)
	check(t, c.Join(ctx, m))
	c.Members = append(c.Members, m)
	if got := ask(); got != "true" {
		t.Errorf("with another: %s", got)
	}
	dump := must[string](t)(c.CLI(ctx, c.Members[0], "system", "ha", "dump", "-o", "json"))
	if strings.Count(dump, `"LastArtifactCommitHandled"`) != 2 {
		t.Errorf("the dump does not show two members: %s", dump)
	}
	a := must[Answer](t)(c.Do(ctx, m, get("/api/v3/system/consensus/introduction")))
	refused(t, a, http.StatusForbidden, "join token")
}

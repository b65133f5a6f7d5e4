package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

const (
	// firstCommit is of the last build without protocol levels, pauses and going
	// back: what it began must be able to come here.
	firstCommit = "0831c503480471e694c52e4ef53790a11b1f3978"
	// backCommit is of an earlier build that knows how to go back, at protocol level 1.
	backCommit = "ffc918c4258b0d7b41a605d766bc43ed6404a6e0"
)

var earlier100 = Build{Version: "1.0.0", Commit: firstCommit}

// data is one of everything that users keep.
func data(t *testing.T, c *Cluster, m *Member) {
	t.Helper()
	ctx := within(t)
	for i := range 20 {
		check(t, c.CreateProfile(ctx, m, fmt.Sprintf("kept-%d", i)))
	}
	for path, body := range map[string]string{
		"/api/v3/profiles/kept-0/params/text":   `"a text"`,
		"/api/v3/profiles/kept-0/params/number": `12345678901234567890`,
		"/api/v3/profiles/kept-0/params/a/tree": `{"b":[1,2.5,null,true,{"c":"d"}]}`,
	} {
		a, err := c.Do(ctx, m, Text("POST", path, "", body))
		answered(t, a, err, http.StatusOK)
	}
	a, err := c.Do(ctx, m, Request{Method: "DELETE", Path: "/api/v3/profiles/kept-19"})
	answered(t, a, err, http.StatusOK)
}

// moved lets members come and go, and leadership with them. It leaves one member
// more in c, an observer, and answers a join token that nobody has used.
func moved(t *testing.T, c *Cluster, b Build) (token string) {
	t.Helper()
	ctx := within(t)
	gone, o := furtherOf(t, c, b), furtherOf(t, &Cluster{Members: append(c.Members, nil)}, b, "--observer")
	check(t, c.Join(ctx, gone))
	check(t, c.Transfer(ctx, followers(t, c)[0]))
	must[string](t)(c.CLI(ctx, c.Members[0], "system", "ha", "remove", gone.Name))
	check(t, c.Invite(ctx, o))
	check(t, o.Start())
	check(t, o.AwaitReady(ctx))
	c.Members = append(c.Members, o)
	return must[string](t)(c.CLI(ctx, c.Members[0], "system", "ha", "join-token", "--ttl", "1h"))
}

// configuration is what of raft's configuration every member shows, in its order,
// once all show the same.
func configuration(t *testing.T, c *Cluster) (shown []string) {
	t.Helper()
	ctx := within(t)
	check(t, Until(ctx, "the members to have one configuration", func() (bool, error) {
		seen := map[string]bool{}
		for _, m := range c.Members {
			var all struct{ Nodes []model.Peer }
			peers, err := c.Peers(ctx, m)
			if err := errors.Join(err, c.Get(ctx, m, "/api/v3/system/consensus/fullstate", &all)); err != nil {
				return false, err
			}
			shown = nil
			for i, p := range peers {
				n := all.Nodes[i]
				shown = append(shown, fmt.Sprintln(p.ConsensusID, p.ConsensusAddr, p.ApiUrl, p.Name, p.Voter, p.Observer,
					n.ConsensusID, n.ConsensusAddr, n.ApiUrl, n.Observer))
			}
			seen[strings.Join(shown, "")] = true
		}
		return len(seen) == 1, nil
	}))
	return shown
}

// chronicle is what the upgrades before left behind, as m shows it.
func chronicle(t *testing.T, c *Cluster, m *Member) (all []map[string]any) {
	t.Helper()
	check(t, c.Get(within(t), m, "/api/v3/system/upgrade/history", &all))
	return all
}

// The members of an earlier build run the upgrade: what this build writes while
// one of them is there must be what they read.
func TestAClusterThatAnEarlierBuildBeganIsUpgradedToThisOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Bin = binaries(t, earlier100) })
	ctx := within(t)
	data(t, c, c.Members[0])
	token := moved(t, c, earlier100)
	check(t, upgradedBy(t, c, Build{Version: "1.0.1", Commit: firstCommit}))
	a, err := c.Unstage(ctx, c.Members[0])
	answered(t, a, err, http.StatusOK)
	before, had := must[Snapshot](t)(c.Look(ctx)), kept(t, must[string](t)(c.State(ctx, c.Members[0])))
	members, past := configuration(t, c), chronicle(t, c, c.Members[0])
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	watch := c.Watch(ctx)

	check(t, upgradedBy(t, c, v110))

	// No act before the completion: the members of the earlier build could not read it.
	for _, words := range []string{"handed in ", "started by "} {
		if a, some := actOf(trail(t, c, c.Members[0]), words); some {
			t.Errorf("the audit trail has %+v", a)
		}
	}

	tallies := load.Stop()
	served(t, tallies, len(c.Members))
	if _, two := watch.Stop(); len(two) != 0 {
		t.Errorf("two members were out at once: %v", two)
	}
	if err := load.Lost(ctx, c.Members[0]); err != nil {
		t.Error(err)
	}
	runs(t, c, before, v110, samePID)
	if diff := cmp.Diff(members, configuration(t, c)); diff != "" {
		t.Errorf("the members are others: %s", diff)
	}
	for _, m := range c.Members {
		if diff := cmp.Diff(had, kept(t, must[string](t)(c.State(ctx, m)))); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
		now := chronicle(t, c, m)
		if diff := cmp.Diff(past, now[len(now)-len(past):]); diff != "" || len(past) == 0 {
			t.Errorf("%s has another past: %s", m.Name, diff)
		}
	}
	invited := furtherOf(t, &Cluster{Members: append(c.Members, nil)}, v110)
	check(t, c.invited(invited, token))
	check(t, invited.Start())
	check(t, c.AwaitVoter(ctx, invited))
	c.Members = append(c.Members, invited)
	before = must[Snapshot](t)(c.Look(ctx))

	// What came since opens when all have it.
	a, err = c.Unstage(ctx, c.Members[0])
	answered(t, a, err, http.StatusOK)
	check(t, c.Staged(ctx, c.Members[0], archive(t, v120)))
	check(t, Until(ctx, "the protocol level to be raised", func() (bool, error) {
		a, err := c.Do(ctx, c.Members[0], Text("POST", runPath, "", `{"probation":"0s","hold":true}`))
		return a.Status == http.StatusAccepted, err
	}))
	until(t, c, c.Members[0], "the upgrade to be held", func(s Status) bool { return s.Status == "finished" })
	asked(t, c, c.Members[0], rollbackPath)
	for _, words := range []string{"handed in 1.2.0", "started by admin: 1.1.0 -> 1.2.0"} {
		if _, some := actOf(trail(t, c, c.Members[0]), words); !some {
			t.Errorf("%q is not in the audit trail", words)
		}
	}
	if s := until(t, c, c.Members[0], "all to be back", func(s Status) bool { return s.Status == "failed" }); s.Back != model.BackDone {
		t.Errorf("it ended %+v", s)
	}
	runs(t, c, before, v110, samePID)
}

// served checks that no request was lost, by members that gave an earlier image up,
// or were given one, so many times. Such an image cuts a client that has connected
// and says nothing for half a second, and has nothing passed on to it: on a machine
// that is overloaded our clients are that slow, and find out before they ask.
func served(t *testing.T, tallies Tallies, times int) {
	t.Helper()
	if tallies.Failed() != tallies.Unsent() || tallies.Unsent() > times || tallies.Requests() == 0 {
		t.Errorf("%d of %d requests failed: %v", tallies.Failed(), tallies.Requests(), tallies.Failures())
	}
}

// upgradedBy is upgraded, ended well or an error.
func upgradedBy(t *testing.T, c *Cluster, b Build) error {
	t.Helper()
	if end := upgraded(t, c, b, quick); end.Status != string(model.Finished) || !end.Completed {
		return fmt.Errorf("the upgrade ended %+v", end)
	}
	return nil
}

// kept are the profiles of data in a state.
func kept(t *testing.T, state string) (some []model.Profile) {
	t.Helper()
	var all []model.Profile
	check(t, json.Unmarshal([]byte(state), &all))
	for _, p := range all {
		if strings.HasPrefix(p.Name, "kept-") {
			some = append(some, p)
		}
	}
	if len(some) != 19 {
		t.Fatalf("%d of 19 profiles are there", len(some))
	}
	return some
}

// An earlier build that knows the way back gets it.
func TestAnEarlierBuildGoesToThisOneAndBackWithItsData(t *testing.T) {
	t.Parallel()
	old := Build{Version: "1.0.0", Commit: backCommit}
	c := newCluster(t, func(p *Plan) { p.Bin, p.Prepare = binaries(t, old), setcap(caps) })
	ctx := within(t)
	data(t, c, c.Members[0])
	before, had := must[Snapshot](t)(c.Look(ctx)), kept(t, must[string](t)(c.State(ctx, c.Members[0])))
	able := capabilities(t, c)
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, `{"probation":"0s","hold":true}`))
	s := until(t, c, m, "the upgrade to be held", func(s Status) bool { return s.Status == "finished" })
	if !s.Proof.WayBack {
		t.Errorf("the way back is not proven: %+v", s)
	}
	runs(t, c, before, v110, samePID)
	check(t, c.CreateProfile(ctx, m, "written-by-1.1.0"))

	asked(t, c, m, rollbackPath)
	s = until(t, c, m, "all to be back", func(s Status) bool { return s.Status == "failed" })

	tallies := load.Stop()
	if s.Back != model.BackDone {
		t.Errorf("it ended %+v", s)
	}
	served(t, tallies, 2*len(c.Members))
	if err := load.Lost(ctx, m); err != nil {
		t.Error(err)
	}
	runs(t, c, before, old, samePID)
	if diff := cmp.Diff(able, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
	for _, m := range c.Members {
		if diff := cmp.Diff(had, kept(t, must[string](t)(c.State(ctx, m)))); diff != "" {
			t.Errorf("%s: %s", m.Name, diff)
		}
		a, err := c.Do(ctx, m, get("/api/v3/profiles/written-by-1.1.0?consistent=true"))
		answered(t, a, err, http.StatusOK)
	}
}

// What it cannot read would stop it; it is told so before it is sent anything.
func TestAJoinerThatIsTooOldOrTooNewIsRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	for _, one := range []struct {
		build Build
		says  string
	}{
		{Build{Version: "0.9.0"}, "n2 runs 0.9.0, and the cluster is at 1.0.0: start it with theseusd 1.0.0"},
		{Build{Version: "1.2.0"}, "go to 1.1.x first: start it with theseusd 1.0.0"},
		{earlier100, "the cluster is at 3: start n2 with the theseusd that the members run"},
	} {
		m := furtherOf(t, c, one.build)
		check(t, c.Invite(ctx, m))
		check(t, m.Start())
		check(t, Until(ctx, "it to give up", func() (bool, error) {
			_, runs := m.Daemon()
			return !runs, nil
		}))
		if log := m.LogTail(20); !strings.Contains(log, one.says) {
			t.Errorf("%s: it does not say %q", one.build.Version, one.says)
		}
		if peers := must[[]model.Peer](t)(c.Peers(ctx, c.Members[0])); len(peers) != 1 {
			t.Errorf("%s: it slipped in: %v", one.build.Version, peers)
		}
		check(t, os.RemoveAll(m.Dir))
	}
}

// Its version is higher, and its code is older than what the cluster has reached.
func TestABuildThatCannotReadTheClusterIsFoundOutBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	before := must[Snapshot](t)(c.Look(within(t)))
	end := upgraded(t, c, Build{Version: "1.0.1", Commit: firstCommit}, quick)
	if end.Status != string(model.Failed) || !strings.Contains(end.Final, "level") || len(turns(end.Transcript)) != 0 {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v100, samePID)
}

package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// verifiable is a cluster at rest, in which no loop is waited for.
func verifiable(t *testing.T, ids ...string) *fleet {
	t.Helper()
	c := newFleet(t, "", ids...)
	c.done(store.OpUpgradeClear, store.UpgradeRef{ID: stagedID})
	for _, id := range ids {
		c.says(id, standing{well: well{Image: "sha256:new", Applied: 1}, Version: "1.0.0"})
		c.runs(id, "1.0.0", "sha256:new")
	}
	return c
}

// says has a member answer so when it is asked what it runs.
func (c *fleet) says(id string, s standing) {
	c.instead(id, pathStanding, func(context.Context, json.RawMessage) (any, error) { return s, nil })
}

// runs has a member be on record so.
func (c *fleet) runs(id, version, image string) {
	m := c.members[id].up.Self
	m.Version, m.Image = version, image
	c.done(store.OpMemberReport, store.MemberReport{Member: m})
}

func (c *fleet) verified(id string) model.VerifyReport {
	c.t.Helper()
	r, err := c.members[id].up.VerifyAll(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func TestVerifyFindsNothingInAClusterThatIsWell(t *testing.T) {
	c := verifiable(t, "n1", "n2", "n3")
	r := c.verified("n2")
	if !r.OK || len(r.Findings) > 0 || len(r.Members) != 3 || r.Version != "1.0.0" || len(r.Notes) > 0 {
		t.Errorf("%+v", r)
	}
	for _, m := range r.Members {
		if !m.OK || !m.Wrote || !m.Read || m.Image != "sha256:new" || m.Applied == 0 {
			t.Errorf("%+v", m)
		}
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	broken := func(err error) func(context.Context, json.RawMessage) (any, error) {
		return func(context.Context, json.RawMessage) (any, error) { return nil, err }
	}
	for name, one := range map[string]struct {
		breaks func(*fleet)
		want   []string // name, member and a part of the text
	}{
		"a member is down":    {func(c *fleet) { c.members["n2"].down = true }, []string{"answers name-of-n2: does not answer"}},
		"its store has ended": {func(c *fleet) { c.instead("n2", pathStanding, broken(model.Problemf(model.Unavailable, "no disk"))) }, []string{"answers name-of-n2: is not well: no disk"}},
		"it says another image than it reported": {func(c *fleet) {
			c.says("n2", standing{well: well{Image: "sha256:other"}, Version: "1.0.0"})
		}, []string{"record name-of-n2: the records have not what it runs (1.0.0 sha256:other, the limit is 1.0.0 sha256:new)"}},
		"it runs an older version": {func(c *fleet) {
			c.says("n2", standing{well: well{Image: "sha256:new"}, Version: "0.9.0"})
			c.runs("n2", "0.9.0", "sha256:new")
		}, []string{"version name-of-n2: runs another version than the cluster (0.9.0, the limit is 1.0.0)"}},
		"it runs a newer version that no upgrade brought": {func(c *fleet) {
			c.says("n2", standing{well: well{Image: "sha256:new"}, Version: "1.2.0"})
			c.runs("n2", "1.2.0", "sha256:new")
		}, []string{"issue name-of-n2: runs 1.2.0"}},
		"it has lost capabilities": {func(c *fleet) {
			c.says("n2", standing{well: well{Image: "sha256:new"}, Version: "1.0.0", Lost: "cap_chown=p"})
		}, []string{"capabilities name-of-n2: its executable has lost capabilities that the one before it has (without cap_chown=p"}},
		"it takes no write": {func(c *fleet) { c.instead("n2", pathCanaryWrite, broken(errors.New("no leader"))) },
			[]string{"write name-of-n2: a write through it fails: no leader"}},
		"its writes are lost": {func(c *fleet) { c.instead("n2", pathCanaryWrite, broken(nil)) },
			[]string{"write name-of-n2: answered a write that is not read through name-of-n2"}},
		"it cannot read": {func(c *fleet) { c.members["n2"].noIndex = errors.New("no quorum") },
			[]string{"read name-of-n2: a consistent read through it fails: no quorum", "read name-of-n2: a consistent read through it fails: no quorum"}},
		"others write all the time": {func(c *fleet) {
			n := 0
			c.instead("n2", pathCanaryWrite, func(context.Context, json.RawMessage) (any, error) {
				n++
				c.earlier(fmt.Sprint(n))
				return struct{}{}, nil
			})
		}, []string{"read name-of-n2: what was written through it could not be read back: others wrote in between each time"}},
		"it reports an issue itself": {func(c *fleet) {
			m := c.members["n2"].up.Self
			m.Version, m.Image, m.Issues = "1.0.0", "sha256:new", []string{"its executable is gone"}
			c.done(store.OpMemberReport, store.MemberReport{Member: m})
		}, []string{"issue name-of-n2: its executable is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := verifiable(t, "n1", "n2", "n3")
			one.breaks(c)
			r := c.verified("n1")
			if r.OK || len(r.Findings) != len(one.want) {
				t.Fatalf("found %+v, want %q", r.Findings, one.want)
			}
			for i, want := range one.want {
				if got := r.Findings[i].Name + " " + r.Findings[i].String(); !strings.HasPrefix(got, want) {
					t.Errorf("found %q, want %q", got, want)
				}
			}
			for _, m := range r.Members {
				about := r.Findings[0].Member
				if m.OK == (m.Name == about) {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

func TestVerifyTakesAMemberOfAnEarlierBuildAtItsWord(t *testing.T) {
	c := verifiable(t, "n1", "n2")
	c.instead("n2", pathStanding, func(context.Context, json.RawMessage) (any, error) {
		return nil, model.Problemf(model.NotFound, "member n2 does not answer %s", pathStanding)
	})
	c.instead("n2", pathWell, func(context.Context, json.RawMessage) (any, error) {
		return well{Image: "sha256:new", Applied: 7}, nil
	})
	if r := c.verified("n1"); !r.OK || r.Members[1].Applied != 7 || r.Members[1].Version != "1.0.0" {
		t.Errorf("%+v", r)
	}
}

func TestVerifyWritesNothingButTheCanary(t *testing.T) {
	c := verifiable(t, "n1", "n2", "n3")
	before := c.index
	c.verified("n1")
	if c.index != before+3 {
		t.Errorf("%d commands for three members", c.index-before)
	}
}

func TestVerifyHoldsEachMemberToTheReleaseOnRecord(t *testing.T) {
	c := verifiable(t, "n1", "n2", "n3")
	p := c.look("n1")
	row := func(id string, step model.Step) model.Progress {
		return model.Progress{ID: id, Step: step, Image: "sha256:old"}
	}
	p.upgrade = &model.Upgrade{Phase: model.Finished, Archive: model.Archive{Digest: "ab", Version: "1.1.0",
		Images: map[string]string{platform(): "sha256:new"}}, Members: []model.Progress{row("n1", model.Done), row("n2", model.Done), row("n3", model.Excluded)}}
	v := c.members["n1"].up.verification(p)
	for id, s := range map[string]standing{
		"n1": {well: well{Image: "sha256:new"}, Version: "1.1.0"},
		"n2": {well: well{Image: "sha256:rebuilt"}, Version: "1.1.0"},
		"n3": {well: well{Image: "sha256:old"}, Version: "1.0.0"},
	} {
		v.holdTo(p.members[id], s)
	}
	r := v.done()
	if len(r.Findings) != 2 || r.Findings[0].Name != model.FindingImage || r.Findings[1].Name != model.FindingVersion ||
		!strings.Contains(r.Findings[1].Remedy, "left out") {
		t.Errorf("%+v", r.Findings)
	}
	if r.Version != "1.1.0" || r.Archive != "sha256:ab" || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "not completed") {
		t.Errorf("%+v", r)
	}
}

func TestVerifyWaitsForTheEndOfAnUpgrade(t *testing.T) {
	c := newFleet(t, "", "n1")
	c.done(store.OpUpgradeRun, store.UpgradeStart{ID: stagedID})
	if _, err := c.members["n1"].up.VerifyAll(t.Context()); model.KindOf(err) != model.Conflict {
		t.Errorf("%v", err)
	}
}

func TestVerifyOnlyReadsInAClusterThatKnowsNoCanary(t *testing.T) {
	c := verifiable(t, "n1", "n2")
	p := c.look("n1")
	p.cluster.Level = 0
	v := c.members["n1"].up.verification(p)
	v.askAll(t.Context())
	before := c.index
	v.tryAll(t.Context())
	r := v.done()
	if !r.OK || c.index != before || r.Members[0].Wrote || !r.Members[0].Read || len(r.Notes) != 1 {
		t.Errorf("%+v, %d commands", r, c.index-before)
	}
}

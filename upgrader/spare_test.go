package upgrader

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Voters are all of the fleet.
func (s *station) Voters() []string { return s.fleet.ids() }

// port is the daemon around a member, as far as draining goes.
type port struct {
	Process
	lame bool
}

func (p *port) LameDuck()                   { p.lame = true }
func (p *port) Recover()                    { p.lame = false }
func (p *port) Quiet(context.Context) error { return nil }

// draining is a fleet whose first member has claimed its turn and drains.
func draining(t *testing.T, o model.Options, ids ...string) (c *fleet, around *port) {
	c, around = newFleet(t, "", ids...), &port{}
	for _, m := range c.members {
		m.answers[pathWell] = func(context.Context, json.RawMessage) (any, error) { return well{}, nil }
	}
	plan := c.look("n1").upgrade.Members
	ref := store.TurnRef{ID: stagedID, Member: "n1", Attempt: 1}
	c.done(store.OpUpgradeRun, store.UpgradeStart{ID: stagedID, Options: o, Members: plan})
	c.done(store.OpUpgradeMove, store.UpgradeMove{ID: stagedID, From: model.Checking, To: model.Rolling})
	c.done(store.OpTurnGrant, ref)
	c.done(store.OpTurnClaim, store.TurnClaim{ID: stagedID, Member: "n1", Attempt: 1})
	c.done(store.OpTurnStep, store.TurnStep{ID: stagedID, Member: "n1", Attempt: 1, From: model.Claimed, To: model.Draining})
	c.members["n1"].up.Process = around
	return c, around
}

func TestAMemberServesOnWhileTheOthersCouldNotDoWithoutIt(t *testing.T) {
	c, around := draining(t, model.Options{}, "n1", "n2", "n3")
	u := c.members["n1"].up
	c.members["n2"].down = true
	around.lame = true // a life before had begun to drain

	err := u.drain(t.Context(), c.look("n1"))

	if want := "while name-of-n1 restarts, 1 of 3 voters would be left, and a quorum is 2: name-of-n2 is down"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if step := c.look("n1").upgrade.Member("n1").Step; step != model.Draining || around.lame {
		t.Errorf("it is at %s, a lame duck: %t", step, around.lame)
	}
	c.members["n2"].down = false
	if err := u.drain(t.Context(), c.look("n1")); err != nil {
		t.Fatal(err)
	}
	if step := c.look("n1").upgrade.Member("n1").Step; step != model.Leaving || !around.lame {
		t.Errorf("it is at %s, a lame duck: %t", step, around.lame)
	}
}

func TestAMemberLeavesWhereNobodyCouldSpareItOrNobodyMinds(t *testing.T) {
	for _, one := range []struct {
		name    string
		options model.Options
		ids     []string
	}{
		{"a member of two", model.Options{}, []string{"n1", "n2"}},
		{"an operator accepts it", model.Options{Ignore: []string{model.IgnoreQuorum}}, []string{"n1", "n2", "n3"}},
		{"a quorum is left", model.Options{}, []string{"n1", "n2", "n3", "n4", "n5"}},
	} {
		c, _ := draining(t, one.options, one.ids...)
		c.members["n2"].down = true
		if err := c.members["n1"].up.drain(t.Context(), c.look("n1")); err != nil {
			t.Errorf("%s: %v", one.name, err)
		}
		if step := c.look("n1").upgrade.Member("n1").Step; step != model.Leaving {
			t.Errorf("%s: it is at %s", one.name, step)
		}
	}
}

package store

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// A rehearsal of a cluster's whole life shows after each command what a copy
// has that the same commands were applied to, and leaves nothing behind.
func TestARehearsalIsWhatWouldBe(t *testing.T) {
	commands := Drill(model.Cluster{Version: "1.0.0", Level: Level})
	lived, err := NewCopy(filepath.Join(t.TempDir(), "lived.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer lived.Close()
	c, err := NewCopy(filepath.Join(t.TempDir(), "rehearsed.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before, err := c.Digest()
	if err != nil {
		t.Fatal(err)
	}
	table, upgrades := ops(), 0
	err = c.Rehearse(func(r *Rehearsal) error {
		for _, e := range commands.entries {
			if err := lived.applySome(table, []replayEntry{e}); err != nil {
				return err
			}
			command, err := decodeCommand(e.Data)
			if err != nil {
				return err
			}
			if err := r.Apply(command); err != nil {
				t.Errorf("%s: %v", command.Op, err)
			}
			if seen(t, r.View()) != nil {
				upgrades++
			}
			if err := lived.View(func(v *View) error {
				if diff := cmp.Diff(seen(t, v), seen(t, r.View())); diff != "" {
					t.Errorf("after %s: %s", command.Op, diff)
				}
				return nil
			}); err != nil {
				return err
			}
			if want, got := digestOf(t, lived), digestSeen(t, r.View()); want != got {
				t.Errorf("after %s: digest %s, want %s", command.Op, got, want)
			}
		}
		return nil
	})
	if err != nil || upgrades == 0 {
		t.Fatalf("%d commands had an upgrade on record, %v", upgrades, err)
	}
	if after := digestOf(t, c); after != before {
		t.Error("the rehearsal left something behind")
	}
}

// seen is the upgrade, or else the release that is left of one.
func seen(t *testing.T, v *View) *model.Upgrade {
	t.Helper()
	u, err := v.Upgrade()
	if err == nil && u == nil {
		u, err = v.Release()
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func digestSeen(t *testing.T, v *View) string {
	t.Helper()
	d, err := v.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestARehearsalAnswersAsTheStoreDoes(t *testing.T) {
	c, err := NewCopy(filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Rehearse(func(r *Rehearsal) error {
		if err := r.Apply(New(OpTurnGrant, TurnRef{ID: "u", Member: "n1"})); err != ErrConflict {
			t.Errorf("a turn of no upgrade: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatARehearsalShowsMayBeChanged(t *testing.T) {
	c, err := NewCopy(filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Rehearse(func(r *Rehearsal) error {
		for _, command := range slices.Concat(drillStaged("u"), []Command{
			New(OpUpgradeStart, UpgradeStart{ID: "u", Members: drillPlan()}), drillMove("u", model.Checking, model.Rolling),
			New(OpTurnGrant, TurnRef{ID: "u", Member: "n1", Attempt: 1})}) {
			if err := r.Apply(command); err != nil {
				t.Fatalf("%s: %v", command.Op, err)
			}
		}
		u := seen(t, r.View())
		u.Turn.Claimed, u.Members[0].Step = true, model.Broken
		if u := seen(t, r.View()); u.Turn.Claimed || u.Members[0].Step != model.Waiting {
			t.Errorf("a reader changed it: turn %+v, member %+v", u.Turn, u.Members[0])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

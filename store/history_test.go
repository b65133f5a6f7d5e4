package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// commands commits one command after the other and answers what the last one was
// answered with.
type commands struct {
	*ship
	next uint64
}

func newCommands(t *testing.T) *commands { return &commands{ship: newShip(t), next: 1} }

func (c *commands) do(op Op, body any) error {
	c.t.Helper()
	answers := c.commit(&raft.Log{Index: c.next, Term: 1, Type: raft.LogCommand, Data: New(op, body).Encode()})
	c.next++
	if err := c.Fault(); err != nil {
		c.t.Fatal(err)
	}
	return answers[0].Err()
}

func (c *commands) must(op Op, body any) {
	c.t.Helper()
	if err := c.do(op, body); err != nil {
		c.t.Fatalf("%s: %v", op, err)
	}
}

// staged is an upgrade that is staged.
func (c *commands) staged(id string) {
	c.t.Helper()
	archive := model.Archive{Digest: id}
	c.must(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: id, Archive: archive}})
	c.must(OpStageCommit, StageCommit{ID: id, Upgrade: model.Upgrade{ID: id, Archive: archive, Phase: model.Staged}})
}

// ended is one that ran and ended in phase.
func (c *commands) ended(id string, phase model.Phase) {
	c.t.Helper()
	c.staged(id)
	c.must(OpUpgradeStart, UpgradeStart{ID: id})
	c.must(OpUpgradeMove, UpgradeMove{ID: id, From: model.Checking, To: phase, Final: "it ended"})
}

func (c *commands) history() (ids []string) {
	c.t.Helper()
	err := c.View(func(v *View) error {
		all, err := v.History()
		for _, u := range all {
			ids = append(ids, u.ID)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return ids
}

func (c *commands) wantHistory(ids ...string) {
	c.t.Helper()
	if got := c.history(); !slices.Equal(got, ids) {
		c.t.Errorf("the history is %v, want %v", got, ids)
	}
}

func TestHistoryKeepsWhatRanAndEnded(t *testing.T) {
	c := newCommands(t)
	c.staged("never started")
	c.wantHistory()
	c.must(OpUpgradeClear, UpgradeRef{ID: "never started"})
	c.wantHistory()
	c.ended("a", model.Failed)
	c.wantHistory("a")
	c.must(OpUpgradeClear, UpgradeRef{ID: "a"})
	c.wantHistory("a")
	c.ended("b", model.Finished)
	c.staged("c") // replaces b
	c.wantHistory("b", "a")
	c.must(OpUpgradeStart, UpgradeStart{ID: "c"})
	c.must(OpUpgradeStop, UpgradeRef{ID: "c"})
	c.must(OpUpgradeClear, UpgradeRef{ID: "c"})
	c.wantHistory("c", "b", "a")

	err := c.View(func(v *View) error {
		u, err := v.HistoryItem("c")
		if u.Ended == "" || u.Final == "" {
			t.Errorf("c ended at %q: %q", u.Ended, u.Final)
		}
		if _, missing := v.HistoryItem("never started"); !errors.Is(missing, ErrNotFound) {
			t.Errorf("what never ran: %v", missing)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	before := c.digest()
	c.reopen()
	c.wantHistory("c", "b", "a")
	if after := c.digest(); after != before {
		t.Error("the digest changed over a restart")
	}
}

func TestHistoryForgetsTheOldest(t *testing.T) {
	c := newCommands(t)
	var want []string
	for i := range historyKept + 3 {
		id := fmt.Sprintf("u%d", i)
		c.ended(id, model.Failed)
		c.must(OpUpgradeClear, UpgradeRef{ID: id})
		want = append([]string{id}, want...)
	}
	c.wantHistory(want[:historyKept]...)
}

func TestHistoryShowsWhatCameOfLaggingMembersSince(t *testing.T) {
	c := newCommands(t)
	c.ended("a", model.Finished)
	c.must(OpUpgradeClear, UpgradeRef{ID: "a"})
	c.must(OpUpgradeNote, UpgradeRef{ID: "a", Note: "n3: done"}) // to the release
	err := c.View(func(v *View) error {
		u, err := v.HistoryItem("a")
		if len(u.Transcript) != 1 {
			t.Errorf("transcript %q", u.Transcript)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	c.wantHistory("a")
}

func TestTheTrialRunReadsTheHistory(t *testing.T) {
	c := newCommands(t)
	c.ended("a", model.Failed)
	c.must(OpUpgradeClear, UpgradeRef{ID: "a"})
	refused := errors.New("not kept")
	err := c.vault.update(func(tx *bolt.Tx) error {
		if err := checkRecords(tx); err != nil {
			t.Error(err)
		}
		if err := tx.Bucket(bucketHistory).Put([]byte("x"), []byte(`{"from-the-future":1}`)); err != nil {
			return err
		}
		if err := checkRecords(tx); err == nil {
			t.Error("a record in the history that cannot be read was passed over")
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
}

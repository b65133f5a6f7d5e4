package store

import (
	"errors"
	"testing"

	"github.com/theseusd/theseus/model"
)

// fleet is a cluster whose upgrade "u1" has finished without n3.
func fleet(t *testing.T) (s *ship, propose func(Op, any) error) {
	t.Helper()
	s = newShip(t)
	index := uint64(1)
	s.accepted(configAt(index, "n1"))
	propose = func(op Op, body any) error {
		index++
		return s.commit(commandAt(index, New(op, body)))[0].Err()
	}
	archive := model.Archive{Digest: "d1", Version: "1.1.0", Images: map[string]string{"linux/amd64": "new"}}
	for _, c := range []struct {
		op   Op
		body any
	}{
		{OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0"}, Admin: model.User{Name: "admin"}}},
		{OpMemberReport, reported("n1", "new")},
		{OpMemberReport, reported("n3", "old")},
		{OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: "u1", Archive: archive}}},
		{OpStageCommit, StageCommit{ID: "u1", Upgrade: model.Upgrade{ID: "u1", Archive: archive, Phase: model.Staged}}},
		{OpUpgradeStart, UpgradeStart{ID: "u1", Members: []model.Progress{{ID: "n1", Step: model.Done}, {ID: "n3", Step: model.Excluded}}}},
		{OpUpgradeMove, UpgradeMove{ID: "u1", From: model.Checking, To: model.Finished}},
	} {
		if err := propose(c.op, c.body); err != nil {
			t.Fatalf("%s: %v", c.op, err)
		}
	}
	return s, propose
}

func reported(id, image string) MemberReport {
	return MemberReport{Member: model.Member{ID: id, Name: id, Image: image, Platform: "linux/amd64", Version: "1.0.0"}}
}

func conflicts(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrConflict) {
		t.Errorf("%s: %v, want a conflict", what, err)
	}
}

func allowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func (s *ship) kept(read func(*View) (*model.Upgrade, error)) (u *model.Upgrade) {
	s.t.Helper()
	if err := s.View(func(v *View) (err error) {
		u, err = read(v)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestAMemberThatLagsBehindFollowsAReleaseThatWasClearedAway(t *testing.T) {
	s, propose := fleet(t)
	allowed(t, "clear", propose(OpUpgradeClear, UpgradeRef{ID: "u1"}))
	conflicts(t, "clear again", propose(OpUpgradeClear, UpgradeRef{ID: "u1"}))
	if u := s.kept((*View).Upgrade); u != nil {
		t.Errorf("it is still there: %+v", u)
	}

	allowed(t, "back", propose(OpUpgradeBack, UpgradeMember{ID: "u1", Member: "n3"}))
	conflicts(t, "back twice", propose(OpUpgradeBack, UpgradeMember{ID: "u1", Member: "n3"}))
	allowed(t, "grant", propose(OpTurnGrant, TurnRef{ID: "u1", Member: "n3", Attempt: 1}))
	allowed(t, "claim", propose(OpTurnClaim, TurnClaim{ID: "u1", Member: "n3", Attempt: 1, Boot: "b"}))
	conflicts(t, "stage while it is out", propose(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: "u2"}}))
	allowed(t, "done", propose(OpTurnStep, TurnStep{ID: "u1", Member: "n3", Attempt: 1, From: model.Claimed, To: model.Done}))
	allowed(t, "stage when it is back", propose(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: "u2"}}))
	conflicts(t, "another member joins the release of before", propose(OpUpgradeBack, UpgradeMember{ID: "u1", Member: "n3"}))
}

func TestAStoppedMemberIsClaimedForOnce(t *testing.T) {
	s, propose := fleet(t)
	late := UpgradeLate{ID: "u1", Member: "n3", Boot: "b1"}
	allowed(t, "late", propose(OpUpgradeLate, late))
	allowed(t, "asked again", propose(OpUpgradeLate, late))
	if u := s.kept((*View).Upgrade); u.Turn == nil || !u.Turn.Claimed || u.Turn.Attempt != 1 || u.Member("n3").Step != model.Leaving {
		t.Errorf("turn %+v, member %+v", u.Turn, u.Member("n3"))
	}
	allowed(t, "its next process, after a death", propose(OpUpgradeLate, UpgradeLate{ID: "u1", Member: "n3", Boot: "b2"}))
	if u := s.kept((*View).Upgrade); u.Turn.Attempt != 2 || u.Turn.Boot != "b2" {
		t.Errorf("turn %+v", u.Turn)
	}
	conflicts(t, "another member", propose(OpUpgradeLate, UpgradeLate{ID: "u1", Member: "n1", Boot: "b3"}))
}

func TestOneThatJoinedAfterTheEndGetsItsPlace(t *testing.T) {
	s, propose := fleet(t)
	allowed(t, "report", propose(OpMemberReport, reported("n4", "old")))
	if err := propose(OpUpgradeBack, UpgradeMember{ID: "u1", Member: "n5"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody is back: %v", err)
	}
	allowed(t, "back", propose(OpUpgradeBack, UpgradeMember{ID: "u1", Member: "n4"}))
	if p := s.kept((*View).Upgrade).Member("n4"); p == nil || p.Step != model.Waiting || p.Image != "old" {
		t.Errorf("its place is %+v", p)
	}
}

func TestCompletionNeedsEveryMemberButThoseThatWereNamed(t *testing.T) {
	_, propose := fleet(t)
	conflicts(t, "without n3, unnamed", propose(OpUpgradeComplete, UpgradeComplete{ID: "u1", Version: "1.1.0"}))
	conflicts(t, "without n1, named", propose(OpUpgradeComplete, UpgradeComplete{ID: "u1", Version: "1.1.0", Without: []string{"n1"}}))
	allowed(t, "without n3, named", propose(OpUpgradeComplete, UpgradeComplete{ID: "u1", Version: "1.1.0", Without: []string{"n3"}}))
}

package store

import (
	"slices"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

// rolling is an upgrade "u" of three members at level 1, of whom n1 is done.
func rolling(t *testing.T) *commands {
	t.Helper()
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: 1}, Admin: model.User{Name: "admin"}})
	c.staged("u")
	c.must(OpUpgradeRun, UpgradeStart{ID: "u", Members: []model.Progress{
		{ID: "n1", Step: model.Done, Attempt: 1}, {ID: "n2", Step: model.Waiting}, {ID: "n3", Step: model.Excluded}}})
	c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Checking, To: model.Rolling})
	return c
}

func (c *commands) cluster() (cluster model.Cluster) {
	c.t.Helper()
	err := c.View(func(v *View) (err error) {
		cluster, err = v.Cluster()
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return cluster
}

// goingBack is rolling, turned round.
func goingBack(t *testing.T) *commands {
	t.Helper()
	c := rolling(t)
	c.must(OpUpgradeRollback, UpgradeRollback{ID: "u", By: "admin"})
	c.must(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Rolling, Going: []string{"n1"}})
	return c
}

func grantOf(member string, attempt int) TurnRef {
	return TurnRef{ID: "u", Member: member, Attempt: attempt}
}

func TestTheLevelGoesUpOnce(t *testing.T) {
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0"}, Admin: model.User{Name: "admin"}})
	c.must(OpClusterLevel, ClusterLevel{Before: 0, Level: 1})
	for _, again := range []ClusterLevel{{Before: 0, Level: 1}, {Before: 1, Level: 1}, {Before: 1, Level: 0}} {
		if err := c.do(OpClusterLevel, again); err != ErrConflict {
			t.Errorf("%+v: %v", again, err)
		}
	}
	if level := c.cluster().Level; level != 1 {
		t.Errorf("level %d", level)
	}
}

func TestTheFloorMovesFromWhatWasSeen(t *testing.T) {
	c := rolling(t)
	c.must(OpClusterFloor, ClusterFloor{Version: "1.1.0"})
	c.conflicts(OpClusterFloor, ClusterFloor{Version: "1.2.0"})
	c.must(OpClusterFloor, ClusterFloor{Before: "1.1.0", Version: "1.0.0"})
	if floor := c.cluster().Floor; floor != "1.0.0" {
		t.Errorf("floor %s", floor)
	}
}

func TestWhilePausedNothingNewBegins(t *testing.T) {
	c := rolling(t)
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.must(OpUpgradePause, UpgradePause{ID: "u", By: "admin", Note: "paused"})
	c.conflicts(OpUpgradePause, UpgradePause{ID: "u", By: "other"})
	c.conflicts(OpTurnClaim, TurnClaim{ID: "u", Member: "n2", Attempt: 1, Boot: "b"})
	c.must(OpTurnWithdraw, grantOf("n2", 1))
	c.conflicts(OpTurnGrant, grantOf("n2", 2))
	c.conflicts(OpUpgradeSkip, UpgradeMember{ID: "u", Member: "n2"})
	c.must(OpUpgradeResume, UpgradeRef{ID: "u"})
	c.conflicts(OpUpgradeResume, UpgradeRef{ID: "u"})
	c.must(OpTurnGrant, grantOf("n2", 2))
}

func TestAMemberThatIsOutEndsItsTurnWhilePaused(t *testing.T) {
	c := rolling(t)
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.must(OpTurnClaim, TurnClaim{ID: "u", Member: "n2", Attempt: 1, Boot: "b"})
	c.must(OpUpgradePause, UpgradePause{ID: "u", By: "admin"})
	c.must(OpTurnStep, TurnStep{ID: "u", Member: "n2", Attempt: 1, From: model.Claimed, To: model.Done})
}

func TestThereIsOneTurn(t *testing.T) {
	c := rolling(t)
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.conflicts(OpTurnGrant, grantOf("n2", 2))
}

func TestAHoldIsUsedOnceInARun(t *testing.T) {
	c := rolling(t)
	c.conflicts(OpUpgradePause, UpgradePause{ID: "u", By: "hold-after 1", Run: 2}) // of another run
	c.must(OpUpgradePause, UpgradePause{ID: "u", By: "hold-after 1", Run: 1})
	if u := c.upgrade(); u.Held != 1 {
		t.Errorf("held %d", u.Held)
	}
}

func TestOnlyWhatWorksIsPaused(t *testing.T) {
	c := rolling(t)
	c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Rolling, To: model.Failed})
	c.conflicts(OpUpgradePause, UpgradePause{ID: "u", By: "admin"})
}

func TestAskedToGoBackNobodyGoesForward(t *testing.T) {
	c := rolling(t)
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.must(OpUpgradeRollback, UpgradeRollback{ID: "u", By: "admin"})
	c.conflicts(OpUpgradeRollback, UpgradeRollback{ID: "u", By: "other"})
	c.conflicts(OpTurnClaim, TurnClaim{ID: "u", Member: "n2", Attempt: 1, Boot: "b"})
	c.conflicts(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Rolling}) // it is still its turn
	c.must(OpTurnWithdraw, grantOf("n2", 1))
	c.conflicts(OpTurnGrant, grantOf("n2", 2))
	c.conflicts(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Verifying})
	c.must(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Rolling, Going: []string{"n1"}})
	u := c.upgrade()
	if u.Phase != model.Reverting || u.Rollback != "" || u.Member("n1").Step != model.Returning || u.Member("n2").Step != model.Reverted || u.Member("n3").Step != model.Excluded {
		t.Errorf("goes back as %+v", u)
	}
	if p := u.Member("n1"); p.Before != p.Attempt {
		t.Errorf("its attempts are counted from %d of %d", p.Before, p.Attempt)
	}
}

func TestThereIsNoWayBackFromSomewhere(t *testing.T) {
	for name, reach := range map[string]func(*commands){
		"staged": func(c *commands) {
			c.must(OpUpgradeStop, UpgradeRef{ID: "u"})
			c.must(OpUpgradeClear, UpgradeRef{ID: "u"})
			c.staged("u")
		},
		"stopping": func(c *commands) { c.must(OpUpgradeStop, UpgradeRef{ID: "u"}) },
		"completed": func(c *commands) {
			c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Rolling, To: model.Finished})
			c.must(OpUpgradeComplete, UpgradeComplete{ID: "u"})
		},
		"going back": func(c *commands) { c.must(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Rolling}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := rolling(t)
			reach(c)
			c.conflicts(OpUpgradeRollback, UpgradeRollback{ID: "u", By: "admin"})
			c.conflicts(OpUpgradeRevert, UpgradeRevert{ID: "u", From: c.upgrade().Phase})
		})
	}
}

func TestGoingBackIsOneTurnAtATime(t *testing.T) {
	c := goingBack(t)
	c.conflicts(OpTurnGrant, grantOf("n1", 2)) // that is forward
	c.conflicts(OpTurnBack, grantOf("n2", 1))  // it is back
	c.conflicts(OpTurnBack, grantOf("n1", 1))  // an attempt of before
	c.must(OpTurnBack, grantOf("n1", 2))
	c.conflicts(OpTurnBack, grantOf("n1", 3))
	c.conflicts(OpUpgradeReverted, UpgradeReverted{ID: "u", Back: model.BackDone})
	if turn := c.upgrade().Turn; turn == nil || !turn.Back {
		t.Errorf("turn %+v", turn)
	}
	c.must(OpTurnClaim, TurnClaim{ID: "u", Member: "n1", Attempt: 2, Boot: "b"})
	c.must(OpTurnStep, TurnStep{ID: "u", Member: "n1", Attempt: 2, From: model.Claimed, To: model.Returning})
	if u := c.upgrade(); u.Turn != nil {
		t.Errorf("it gave its turn back and holds %+v", u.Turn)
	}
}

func TestAPausedWayBackIsNotClaimed(t *testing.T) {
	c := goingBack(t)
	c.must(OpTurnBack, grantOf("n1", 2))
	c.must(OpUpgradePause, UpgradePause{ID: "u", By: "admin"})
	c.conflicts(OpTurnClaim, TurnClaim{ID: "u", Member: "n1", Attempt: 2, Boot: "b"})
	c.must(OpTurnWithdraw, grantOf("n1", 2))
	c.conflicts(OpTurnBack, grantOf("n1", 3))
}

func TestTheEndOfGoingBackSetsTheFloor(t *testing.T) {
	for back, floor := range map[string]string{model.BackDone: "1.0.0", model.BackFailed: "1.1.0"} {
		c := rolling(t)
		c.must(OpClusterFloor, ClusterFloor{Version: "1.1.0"})
		c.must(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Rolling, Going: []string{"n1"}})
		c.must(OpUpgradeReverted, UpgradeReverted{ID: "u", Back: back, Floor: "1.0.0", Final: "the end"})
		if u := c.upgrade(); u.Phase != model.Failed || u.Back != back || u.Final != "the end" || c.cluster().Floor != floor {
			t.Errorf("%s: floor %s, %+v", back, c.cluster().Floor, u)
		}
		c.conflicts(OpUpgradeReverted, UpgradeReverted{ID: "u", Back: back})
	}
}

func TestAStartForgetsHowItWentBackBefore(t *testing.T) {
	c := goingBack(t)
	c.must(OpUpgradeReverted, UpgradeReverted{ID: "u", Back: model.BackDone, Floor: "1.0.0"})
	c.must(OpUpgradeRun, UpgradeStart{ID: "u", Members: c.upgrade().Members})
	if u := c.upgrade(); u.Back != "" || u.Rollback != "" || u.Proof != nil || u.Final != "" {
		t.Errorf("started as %+v", u)
	}
}

func TestAFailedMemberGoesBackAfterTheEnd(t *testing.T) {
	c := rolling(t)
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.must(OpTurnStep, TurnStep{ID: "u", Member: "n2", Attempt: 1, From: model.Waiting, To: model.Broken})
	c.conflicts(OpTurnBack, grantOf("n2", 2)) // not while others go forward
	c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Rolling, To: model.Failed})
	c.conflicts(OpTurnBack, grantOf("n1", 2)) // done is not failed
	c.must(OpTurnBack, grantOf("n2", 2))
	c.conflicts(OpUpgradeRun, UpgradeStart{ID: "u"}) // it is out
	c.conflicts(OpUpgradeClear, UpgradeRef{ID: "u"})
	c.must(OpTurnStep, TurnStep{ID: "u", Member: "n2", Attempt: 2, From: model.Returning, To: model.Reverted})
	c.must(OpUpgradeRun, UpgradeStart{ID: "u"})
}

func TestACorrectionNeverTouchesAMemberThatIsOut(t *testing.T) {
	c := rolling(t)
	fix := UpgradeCorrect{ID: "u", Member: "n1", From: model.Done, To: model.Waiting, Reason: "runs its old image"}
	c.conflicts(OpUpgradeCorrect, UpgradeCorrect{ID: "u", Member: "n1", From: model.Reverted, To: model.Waiting})
	c.must(OpTurnGrant, grantOf("n2", 1))
	c.conflicts(OpUpgradeCorrect, fix)
	c.must(OpTurnWithdraw, grantOf("n2", 1))
	c.must(OpUpgradeCorrect, fix)
	if p := c.upgrade().Member("n1"); p.Step != model.Waiting || p.Reason != fix.Reason {
		t.Errorf("corrected to %+v", p)
	}
}

func TestAProofIsOfItsRunWhileItRolls(t *testing.T) {
	c := rolling(t)
	proof := model.Proof{Run: 1, Member: "n1", Findings: []string{"a finding"}}
	c.conflicts(OpUpgradeProof, UpgradeProof{ID: "u", Proof: model.Proof{Run: 2, Member: "n1"}})
	c.must(OpUpgradeProof, UpgradeProof{ID: "u", Proof: proof})
	if got := c.upgrade().Proof; got == nil || !slices.Equal(got.Findings, proof.Findings) {
		t.Errorf("proof %+v", got)
	}
	c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Rolling, To: model.Verifying})
	c.conflicts(OpUpgradeProof, UpgradeProof{ID: "u", Proof: proof})
}

func TestAWaitSaysWhyAndNeverGrowsYounger(t *testing.T) {
	c := rolling(t)
	wait := func(key string, passed time.Duration, why string) UpgradeWait {
		return UpgradeWait{ID: "u", Wait: model.Wait{For: key, Passed: passed, Why: why}}
	}
	c.must(OpUpgradeWait, wait("a", time.Minute, "n3 is down"))
	c.conflicts(OpUpgradeWait, wait("a", time.Second, "n2 is down"))
	c.must(OpUpgradeWait, wait("a", time.Minute, "n2 is down")) // only the reason is new
	c.must(OpUpgradeWait, wait("b", time.Second, ""))
	if w := c.upgrade().Wait; w.For != "b" || w.Why != "" {
		t.Errorf("wait %+v", w)
	}
}

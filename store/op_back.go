package store

import (
	"slices"

	"github.com/theseusd/theseus/model"
)

// What came with protocol level 1: going back, pausing, and the facts that they
// and a careful rollout need.

// ClusterLevel raises the protocol level, once every member can read it.
type ClusterLevel struct {
	Before int `json:"before"`
	Level  int `json:"level"`
}

// ClusterFloor notes which version leads now. It applies only to the floor that
// it was decided on.
type ClusterFloor struct {
	Before  string `json:"before"`
	Version string `json:"version"`
}

// UpgradePause has nothing new begin; Run is of the hold-after that asked for
// it, 0 when a person did.
type UpgradePause struct {
	ID   string `json:"id"`
	By   string `json:"by"`
	Run  int    `json:"run"`
	Note string `json:"note"`
}

// UpgradeRollback asks that the whole rollout goes back.
type UpgradeRollback struct {
	ID   string `json:"id"`
	By   string `json:"by"`
	Note string `json:"note"`
}

// UpgradeRevert begins to go back: the members in Going have to.
type UpgradeRevert struct {
	ID    string      `json:"id"`
	From  model.Phase `json:"from"`
	Going []string    `json:"going"`
	Note  string      `json:"note"`
}

// UpgradeReverted ends going back, well or badly. Floor is the version that the
// members are at now.
type UpgradeReverted struct {
	ID    string `json:"id"`
	Back  string `json:"back"` // model.BackDone or model.BackFailed
	Floor string `json:"floor"`
	Final string `json:"final"`
	Note  string `json:"note"`
}

// UpgradeCorrect says that a step on record is not what the member's running
// image says. No turn is open then.
type UpgradeCorrect struct {
	ID     string     `json:"id"`
	Member string     `json:"member"`
	From   model.Step `json:"from"`
	To     model.Step `json:"to"`
	Reason string     `json:"reason"`
	Note   string     `json:"note"`
}

// UpgradeProof is what was found out about the new version at work.
type UpgradeProof struct {
	ID    string      `json:"id"`
	Proof model.Proof `json:"proof"`
	Note  string      `json:"note"`
}

// UpgradeWait is UpgradeElapsed with what stands in the way.
type UpgradeWait struct {
	ID   string     `json:"id"`
	Wait model.Wait `json:"wait"`
}

func backOps() map[Op]op {
	ref := UpgradeRef{ID: "sample"}
	return map[Op]op{
		OpClusterLevel:    with(first, raiseLevel, ClusterLevel{Before: -1, Level: 1}), // it opens its level, and is below it
		OpClusterFloor:    atLevel(1, moveFloor, ClusterFloor{Before: "sample"}),
		OpUpgradeRun:      atLevel(1, startUpgrade, UpgradeStart{ID: "sample"}),
		OpUpgradePause:    atLevel(1, pauseUpgrade, UpgradePause{ID: "sample"}),
		OpUpgradeResume:   atLevel(1, resumeUpgrade, ref),
		OpUpgradeRollback: atLevel(1, askBack, UpgradeRollback{ID: "sample"}),
		OpUpgradeRevert:   atLevel(1, revertUpgrade, UpgradeRevert{ID: "sample"}),
		OpUpgradeReverted: atLevel(1, revertedUpgrade, UpgradeReverted{ID: "sample"}),
		OpUpgradeCorrect:  atLevel(1, correctMember, UpgradeCorrect{ID: "sample", Member: "sample"}),
		OpUpgradeProof:    atLevel(1, proofOf, UpgradeProof{ID: "sample"}),
		OpUpgradeWait:     atLevel(1, waitsFor, UpgradeWait{ID: "sample"}),
		OpTurnBack:        atLevel(1, grantBack, TurnRef{ID: "sample", Member: "sample"}),
	}
}

// changeCluster changes the record of the cluster.
func changeCluster(e entry, change func(*model.Cluster) error) error {
	c, err := must[model.Cluster](e.tx, bucketRecords, keyCluster)
	if err != nil {
		return err
	}
	if err := change(&c); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyCluster, c)
}

func raiseLevel(e entry, c ClusterLevel) error {
	return changeCluster(e, func(cluster *model.Cluster) error {
		if cluster.Level != c.Before || c.Level <= c.Before {
			return ErrConflict
		}
		cluster.Level = c.Level
		return nil
	})
}

func moveFloor(e entry, c ClusterFloor) error {
	return changeCluster(e, func(cluster *model.Cluster) error {
		if cluster.Floor != c.Before {
			return ErrConflict
		}
		cluster.Floor = c.Version
		return nil
	})
}

func pauseUpgrade(e entry, c UpgradePause) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase.Status() != "working" || u.Paused != nil || c.Run != 0 && u.Runs != c.Run {
			return ErrConflict
		}
		u.Paused = &model.Pause{By: c.By, Since: e.at}
		u.Held = max(u.Held, c.Run)
		return holdAgain(e, u)
	})
}

func resumeUpgrade(e entry, c UpgradeRef) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Paused == nil {
			return ErrConflict
		}
		u.Paused, u.Wait = nil, model.Wait{}
		return holdAgain(e, u)
	})
}

// reversible says whether an upgrade may go back still: completion closes the way,
// and so does clearing it away.
func reversible(e entry, u *model.Upgrade) bool {
	current, ok, err := upgradeIn(e.tx, e.known, keyUpgrade)
	return err == nil && ok && current.ID == u.ID && newest(e, u) && u.Runs > 0 && !u.Completed && !u.Stop && u.Phase != model.Reverting && u.Phase != model.Staged
}

func askBack(e entry, c UpgradeRollback) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if !reversible(e, u) || u.Rollback != "" {
			return ErrConflict
		}
		u.Rollback, u.Paused = c.By, nil
		return nil
	})
}

// revertUpgrade begins to go back when nobody is out.
func revertUpgrade(e entry, c UpgradeRevert) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if !reversible(e, u) || u.Phase != c.From || u.Turn != nil {
			return ErrConflict
		}
		u.Phase, u.Since, u.Wait = model.Reverting, e.at, model.Wait{}
		u.Rollback, u.Paused, u.Final, u.Ended, u.Back = "", nil, "", "", ""
		if err := endMigration(e, u, true, "the upgrade goes back"); err != nil {
			return err
		}
		for i := range u.Members {
			p := &u.Members[i]
			p.Verified, p.Before = false, p.Attempt
			switch {
			case slices.Contains(c.Going, p.ID):
				p.Step, p.Since, p.Reason = model.Returning, e.at, ""
			case p.Step != model.Excluded:
				p.Step, p.Since = model.Reverted, e.at
			}
		}
		return nil
	})
}

func revertedUpgrade(e entry, c UpgradeReverted) error {
	err := changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Reverting || u.Turn != nil {
			return ErrConflict
		}
		u.Phase, u.Since, u.Ended = model.Failed, e.at, e.at
		u.Final, u.Back, u.Wait, u.Paused = c.Final, c.Back, model.Wait{}, nil
		return nil
	})
	if err != nil || c.Back != model.BackDone {
		return err
	}
	return changeCluster(e, func(cluster *model.Cluster) error {
		cluster.Floor = c.Floor
		return nil
	})
}

// correctMember never touches a member that is out.
func correctMember(e entry, c UpgradeCorrect) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if u.Turn != nil || p.Step != c.From {
			return ErrConflict
		}
		p.Step, p.Since, p.Reason, p.Verified = c.To, e.at, c.Reason, false
		return nil
	})
}

func proofOf(e entry, c UpgradeProof) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Rolling || u.Runs != c.Proof.Run {
			return ErrConflict
		}
		u.Proof = &c.Proof
		return nil
	})
}

// waitsFor never lets a wait grow younger.
func waitsFor(e entry, c UpgradeWait) error {
	return changeUpgrade(e, c.ID, "", func(u *model.Upgrade) error {
		if u.Wait.For == c.Wait.For && u.Wait.Passed > c.Wait.Passed {
			return ErrConflict
		}
		u.Wait = c.Wait
		return nil
	})
}

// grantBack gives the one turn to a member that has to go back: within the
// rollout's going back, or because its own attempt failed and it runs the new
// image all the same (S5).
func grantBack(e entry, c TurnRef) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		due := p.Step == model.Returning || u.Phase == model.Failed && p.Step == model.Broken
		if !goesBack(e, u) || u.Turn != nil || !due || c.Attempt != p.Attempt+1 {
			return ErrConflict
		}
		p.Attempt, p.Step, p.Since = c.Attempt, model.Returning, e.at
		u.Turn = &model.Turn{Member: c.Member, Attempt: c.Attempt, Back: true}
		return nil
	})
}

// goesBack says whether members may go back.
func goesBack(e entry, u *model.Upgrade) bool {
	return !u.Stop && u.Paused == nil && newest(e, u) && (u.Phase == model.Reverting || u.Phase == model.Failed && u.Rollback == "")
}

package store

import (
	"time"

	"github.com/theseusd/theseus/model"
)

// UpgradeStart begins a staged upgrade, or goes on with a failed one.
type UpgradeStart struct {
	ID      string           `json:"id"`
	Options model.Options    `json:"options"`
	Members []model.Progress `json:"members"` // the plan
	Note    string           `json:"note"`
}

// UpgradeMove moves an upgrade from a phase, if it is still in it, to another.
type UpgradeMove struct {
	ID    string      `json:"id"`
	From  model.Phase `json:"from"`
	To    model.Phase `json:"to"`
	Note  string      `json:"note"`
	Final string      `json:"final"` // one line, when To is an end
}

// UpgradeChecked is what a member's trial run in this run of the upgrade found.
type UpgradeChecked struct {
	ID       string   `json:"id"`
	Run      int      `json:"run"`
	Member   string   `json:"member"`
	Findings []string `json:"findings"`
	Note     string   `json:"note"`
}

// UpgradeMember is a fact about one member: it is skipped, or it is verified.
type UpgradeMember struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Note   string `json:"note"`
}

// UpgradeElapsed is how long a wait has lasted, over all leaders.
type UpgradeElapsed struct {
	ID     string        `json:"id"`
	For    string        `json:"for"`
	Passed time.Duration `json:"passed"`
}

// UpgradeRef names an upgrade: stop it, or clear it away.
type UpgradeRef struct {
	ID   string `json:"id"`
	Note string `json:"note"`
}

// UpgradeComplete moves the cluster version, and with it closes the way back.
type UpgradeComplete struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Note    string `json:"note"`
}

func upgradeOps() map[Op]op {
	ref, member := UpgradeRef{ID: "sample"}, UpgradeMember{ID: "sample", Member: "sample"}
	return map[Op]op{
		OpUpgradeStart:    with(first, startUpgrade, UpgradeStart{ID: "sample"}),
		OpUpgradeMove:     with(first, moveUpgrade, UpgradeMove{ID: "sample"}),
		OpUpgradeChecked:  with(first, checkedMember, UpgradeChecked{ID: "sample"}),
		OpUpgradeSkip:     with(first, skipMember, member),
		OpUpgradeVerified: with(first, verifiedMember, member),
		OpUpgradeElapsed:  with(first, elapsed, UpgradeElapsed{ID: "sample"}),
		OpUpgradeStop:     with(first, stopUpgrade, ref),
		OpUpgradeComplete: with(first, completeUpgrade, UpgradeComplete{ID: "sample"}),
		OpUpgradeClear:    with(first, clearUpgrade, ref),
	}
}

// transcriptKept bounds the transcript: its oldest lines go first.
const transcriptKept = 1000

// changeUpgrade changes the upgrade of that id, and no other, and adds a line
// to its transcript if there is something to tell.
func changeUpgrade(e entry, id, note string, change func(*model.Upgrade) error) error {
	u, ok, err := get[model.Upgrade](e.tx, bucketRecords, keyUpgrade)
	if err != nil {
		return err
	}
	if !ok || u.ID != id {
		return ErrConflict
	}
	if err := change(&u); err != nil {
		return err
	}
	if note != "" {
		u.Transcript = append(u.Transcript, e.at+" "+note)
	}
	if extra := len(u.Transcript) - transcriptKept; extra > 0 {
		u.Transcript = u.Transcript[extra:]
	}
	return put(e.tx, bucketRecords, keyUpgrade, u)
}

func startUpgrade(e entry, c UpgradeStart) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Staged && u.Phase != model.Failed {
			return ErrConflict
		}
		u.Phase, u.Since, u.Final = model.Checking, e.at, ""
		u.Stop, u.Turn, u.Wait = false, nil, model.Wait{}
		u.Options, u.Members = c.Options, c.Members
		u.Runs++
		return nil
	})
}

// moveUpgrade never moves while a member is out: a phase ends with its turns.
func moveUpgrade(e entry, c UpgradeMove) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != c.From || u.Turn != nil {
			return ErrConflict
		}
		u.Phase, u.Since, u.Final, u.Wait = c.To, e.at, c.Final, model.Wait{}
		return nil
	})
}

// changeMember changes one member's progress.
func changeMember(e entry, id, member, note string, change func(*model.Upgrade, *model.Progress) error) error {
	return changeUpgrade(e, id, note, func(u *model.Upgrade) error {
		p := u.Member(member)
		if p == nil {
			return ErrNotFound
		}
		return change(u, p)
	})
}

func checkedMember(e entry, c UpgradeChecked) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if u.Phase != model.Checking || u.Runs != c.Run {
			return ErrConflict
		}
		p.Checked, p.Findings = c.Run, c.Findings
		return nil
	})
}

func skipMember(e entry, c UpgradeMember) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if u.Phase != model.Rolling || p.Step != model.Waiting || u.Turn != nil {
			return ErrConflict
		}
		p.Step, p.Since = model.Skipped, e.at
		return nil
	})
}

func verifiedMember(e entry, c UpgradeMember) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if u.Phase != model.Verifying {
			return ErrConflict
		}
		p.Verified = true
		return nil
	})
}

// elapsed never lets a wait grow younger.
func elapsed(e entry, c UpgradeElapsed) error {
	return changeUpgrade(e, c.ID, "", func(u *model.Upgrade) error {
		if u.Wait.For == c.For && u.Wait.Passed >= c.Passed {
			return ErrConflict
		}
		u.Wait = model.Wait{For: c.For, Passed: c.Passed}
		return nil
	})
}

func stopUpgrade(e entry, c UpgradeRef) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase.Status() != "working" {
			return ErrConflict
		}
		u.Stop = true
		return nil
	})
}

// completeUpgrade asks of the records themselves that every member runs the target.
func completeUpgrade(e entry, c UpgradeComplete) error {
	members, err := list[model.Member](e.tx, bucketMembers)
	if err != nil {
		return err
	}
	cluster, err := must[model.Cluster](e.tx, bucketRecords, keyCluster)
	if err != nil {
		return err
	}
	err = changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Finished || u.Completed || u.Archive.Version != c.Version {
			return ErrConflict
		}
		for _, m := range members {
			if m.Image != u.Archive.Images[m.Platform] {
				return ErrConflict
			}
		}
		u.Completed = true
		return nil
	})
	if err != nil {
		return err
	}
	cluster.Version = c.Version
	return put(e.tx, bucketRecords, keyCluster, cluster)
}

// clearUpgrade removes the record, but never while a member is out or may still
// claim: the claim and this exclude each other by the order of the log.
func clearUpgrade(e entry, c UpgradeRef) error {
	return changeRecord(e, c.ID, func(u *model.Upgrade) error {
		if u.Turn != nil || u.Phase.Status() == "working" && !u.Stop {
			return ErrConflict
		}
		return e.tx.Bucket(bucketRecords).Delete(keyUpgrade)
	})
}

// changeRecord hands out the upgrade of that id without writing it back.
func changeRecord(e entry, id string, do func(*model.Upgrade) error) error {
	u, ok, err := get[model.Upgrade](e.tx, bucketRecords, keyUpgrade)
	if err != nil {
		return err
	}
	if !ok || u.ID != id {
		return ErrConflict
	}
	return do(&u)
}

package store

import (
	"bytes"
	"slices"
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

// UpgradeMember is a fact about one member: it is skipped, it is back, or it is verified.
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

// UpgradeLate is a member that lagged behind going after the others: it is out
// already, so that its claim is proposed for it.
type UpgradeLate struct {
	ID     string `json:"id"`
	Member string `json:"member"`
	Boot   string `json:"boot"` // the process that will swap
	Note   string `json:"note"`
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

	// Without are the ids of the members that an operator decided not to wait for.
	Without []string `json:"without,omitempty"`
}

func upgradeOps() map[Op]op {
	ref, member := UpgradeRef{ID: "sample"}, UpgradeMember{ID: "sample", Member: "sample"}
	return map[Op]op{
		OpUpgradeStart:    with(first, startUpgrade, UpgradeStart{ID: "sample"}),
		OpUpgradeMove:     with(first, moveUpgrade, UpgradeMove{ID: "sample"}),
		OpUpgradeChecked:  with(first, checkedMember, UpgradeChecked{ID: "sample"}),
		OpUpgradeSkip:     with(first, skipMember, member),
		OpUpgradeBack:     with(first, memberBack, member),
		OpUpgradeLate:     with(first, lateMember, UpgradeLate{ID: "sample", Member: "sample"}),
		OpUpgradeVerified: with(first, verifiedMember, member),
		OpUpgradeElapsed:  with(first, elapsed, UpgradeElapsed{ID: "sample"}),
		OpUpgradeStop:     with(first, stopUpgrade, ref),
		OpUpgradeComplete: with(first, completeUpgrade, UpgradeComplete{ID: "sample"}),
		OpUpgradeClear:    with(first, clearUpgrade, ref),
	}
}

// transcriptKept bounds the transcript: its oldest lines go first.
const transcriptKept = 1000

// place is where the upgrade of that id is kept: the one people deal with, or
// the release that runs since one was cleared away.
func place(e entry, id string) (key []byte, u model.Upgrade, err error) {
	for _, key := range [][]byte{keyUpgrade, keyRelease} {
		u, ok, err := upgradeIn(e.tx, e.known, key)
		if err != nil {
			return nil, u, err
		}
		if ok && u.ID == id {
			return key, u, nil
		}
	}
	return nil, u, ErrConflict
}

// changeUpgrade changes the upgrade of that id, and no other, and adds a line
// to its transcript if there is something to tell.
func changeUpgrade(e entry, id, note string, change func(*model.Upgrade) error) error {
	key, u, err := place(e, id)
	if err != nil {
		return err
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
	return e.putUpgrade(key, u)
}

func startUpgrade(e entry, c UpgradeStart) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Staged && u.Phase != model.Failed || backUnderWay(u) {
			return ErrConflict
		}
		u.Phase, u.Since, u.Final = model.Checking, e.at, ""
		u.Paused, u.Rollback, u.Back, u.Proof = nil, "", "", nil
		u.Stop, u.Turn, u.Wait = false, nil, model.Wait{}
		u.Options, u.Members, u.Schedule = c.Options, c.Members, nil
		u.Ended = ""
		if err := endMigration(e, u, false, "the upgrade was started again"); err != nil {
			return err
		}
		if u.Runs++; u.Runs == 1 {
			u.Started = e.at
		}
		return nil
	})
}

// backUnderWay: a member that failed goes back, or all are asked to.
func backUnderWay(u *model.Upgrade) bool {
	return u.Rollback != "" || u.Turn != nil && u.Turn.Back
}

// moveUpgrade never moves while a member is out: a phase ends with its turns.
func moveUpgrade(e entry, c UpgradeMove) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != c.From || u.Turn != nil {
			return ErrConflict
		}
		u.Phase, u.Since, u.Final, u.Wait = c.To, e.at, c.Final, model.Wait{}
		if c.To == model.Finished || c.To == model.Failed {
			u.Ended = e.at
		}
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
		if u.Phase != model.Checking && u.Phase != model.Finished || u.Runs != c.Run {
			return ErrConflict
		}
		p.Checked, p.Findings = c.Run, c.Findings
		return nil
	})
}

func skipMember(e entry, c UpgradeMember) error {
	return changeMember(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if !goes(e, u) || p.Step != model.Waiting || u.Turn != nil {
			return ErrConflict
		}
		p.Step, p.Since = model.Skipped, e.at
		return nil
	})
}

// goes says whether members may go: in turn, and after the end those that lagged
// behind, unless a newer upgrade has taken over from this one.
func goes(e entry, u *model.Upgrade) bool {
	return !u.Stop && u.Paused == nil && u.Rollback == "" && (u.Phase == model.Rolling || u.Phase == model.Finished && newest(e, u))
}

// newest says that nothing is staged or on its way that came after u.
func newest(e entry, u *model.Upgrade) bool {
	if e.tx.Bucket(bucketRecords).Get(keyStaging) != nil {
		return false
	}
	current, ok, err := upgradeIn(e.tx, e.known, keyUpgrade)
	return err == nil && (!ok || current.ID == u.ID)
}

// memberBack has a member that was left out, that joined since or that did not
// come back, wait for a turn after all others.
func memberBack(e entry, c UpgradeMember) error {
	return changeLate(e, c.ID, c.Member, c.Note, func(_ *model.Upgrade, p *model.Progress) error {
		if p.Step != model.Excluded && p.Step != model.Broken {
			return ErrConflict
		}
		p.Step, p.Since, p.Reason = model.Waiting, e.at, "back"
		return nil
	})
}

// lateMember is grant, claim and leaving in one, for a member that cannot write
// for itself: its store has stopped at what only a later version can read.
func lateMember(e entry, c UpgradeLate) error {
	return changeLate(e, c.ID, c.Member, c.Note, func(u *model.Upgrade, p *model.Progress) error {
		if u.Turn != nil && u.Turn.Member == c.Member && u.Turn.Boot == c.Boot {
			return nil // asked again
		}
		again := u.Turn != nil && u.Turn.Member == c.Member && u.Turn.Claimed // it died before it swapped
		first := u.Turn == nil && (p.Step == model.Excluded || p.Step == model.Waiting || p.Step == model.Broken)
		if !again && !first {
			return ErrConflict
		}
		p.Attempt++
		u.Turn = &model.Turn{Member: c.Member, Attempt: p.Attempt, Claimed: true, Boot: c.Boot}
		p.Step, p.Since, p.Boot, p.Reason = model.Leaving, e.at, c.Boot, ""
		p.Claimed, p.Settled = e.at, ""
		return nil
	})
}

// changeLate changes the progress of a member after the end of an upgrade that
// nothing newer follows. One that joined since gets its place in it.
func changeLate(e entry, id, member, note string, change func(*model.Upgrade, *model.Progress) error) error {
	return changeUpgrade(e, id, note, func(u *model.Upgrade) error {
		if u.Phase != model.Finished || !newest(e, u) {
			return ErrConflict
		}
		m, err := must[model.Member](e.tx, bucketMembers, []byte(member))
		if err != nil {
			return err
		}
		if u.Member(member) == nil {
			u.Members = append(u.Members, model.Progress{ID: m.ID, From: m.Version, Image: m.Image, Step: model.Excluded, Since: e.at})
		}
		return change(u, u.Member(member))
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

// completeUpgrade asks of the records themselves that every member runs the
// target, but for those that an operator named.
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
		if u.Phase != model.Finished || u.Completed || u.Archive.Version != c.Version || u.Rollback != "" || unmigrated(u) {
			return ErrConflict
		}
		for _, m := range members {
			if m.Image != u.Archive.Images[m.Platform] && !slices.Contains(c.Without, m.ID) {
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
// claim: the claim and this exclude each other by the order of the log. One that
// finished becomes the release that runs.
func clearUpgrade(e entry, c UpgradeRef) error {
	key, u, err := place(e, c.ID)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(key, keyUpgrade):
		return ErrConflict // cleared away before
	case u.Phase == model.Finished && u.Rollback != "":
		return ErrConflict // it goes back
	case u.Phase == model.Finished:
		return retire(e, u)
	case u.Turn != nil || u.Phase.Status() == "working" && !u.Stop:
		return ErrConflict
	}
	if err := endMigration(e, &u, false, "the upgrade was stopped"); err != nil {
		return err
	}
	if err := e.tx.Bucket(bucketRecords).Delete(keyUpgrade); err != nil || u.Runs == 0 {
		return err
	}
	if u.Stop {
		u.Final, u.Ended = "stopped", e.at
	}
	return chronicle(e, u)
}

// retire puts a finished upgrade where members that lag behind still find it. The
// way back goes with it, so that there is nothing to hold its completion for.
func retire(e entry, u model.Upgrade) error {
	u.Options.Hold, u.Paused = false, nil
	if err := e.tx.Bucket(bucketRecords).Delete(keyUpgrade); err != nil {
		return err
	}
	if err := chronicle(e, u); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyRelease, u)
}

// changeRecord hands out the upgrade of that id without writing it back.
func changeRecord(e entry, id string, do func(*model.Upgrade) error) error {
	_, u, err := place(e, id)
	if err != nil {
		return err
	}
	return do(&u)
}

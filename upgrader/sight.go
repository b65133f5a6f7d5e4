package upgrader

import (
	"slices"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/policy"
)

// Attempts is how often a member tries to swap in one run: a good build that is
// killed in between must not be given up, and nothing may go on for ever.
const Attempts = 3

// Seen is what a member knows beside the record when it decides.
type Seen struct {
	Me      string
	Boot    string // of this process image
	Leading bool   // and the barrier of this term has passed
	Voters  []string
	Members map[string]model.Member // what members last reported

	Version string        // of this image
	Gate    string        // the recorded cluster version
	Level   int           // the recorded protocol level; at 0 nothing newer may be written
	Floor   string        // the highest version that has led, above the gate
	Waited  time.Duration // how long the present wait has lasted, over all leaders
	Armed   int           // the attempt that this member is armed for; 0: none
	Verdict *model.Verdict
	Pong    *Pong // the freshest answer to a ping in this wait
	Tries   int   // hand-overs tried in this wait

	Answered map[string]bool // who answered the last survey of this wait
	Apart    []string        // members whose records differed then, for people
	Open     bool            // the window in which members may go
	Job      *model.Job      // of the migration at work (Upgrade.Job)
}

// Pong is a member's answer to a ping.
type Pong struct {
	Member string
	Boot   string
}

// sight is the record as this member sees it: what the rows' conditions speak of.
type sight struct {
	Seen
	u    *model.Upgrade
	turn *model.Turn     // nil: nobody is out
	p    *model.Progress // of the member whose turn it is
	step model.Step      // of the same; "" without a turn
}

func look(u *model.Upgrade, s Seen) sight {
	v := sight{Seen: s, u: u, turn: u.Turn}
	if v.turn != nil {
		v.p = u.Member(v.turn.Member)
	}
	if v.p != nil {
		v.step = v.p.Step
	}
	return v
}

func (v sight) is(h hat) bool {
	switch h {
	case leader:
		return v.Leading
	case holder:
		return v.turn != nil && v.turn.Member == v.Me
	}
	return true
}

// image is what the archive holds for a member's platform.
func (v sight) image(id string) string { return v.u.Archive.Images[v.Members[id].Platform] }

// aim is the image that a member is to run, in the direction of its turn or else
// of the phase.
func (v sight) aim(id string) string {
	back := slices.Contains(backwards(), v.u.Phase)
	if v.turn != nil && v.turn.Member == id {
		back = v.turn.Back
	}
	if !back {
		return v.image(id)
	}
	if p := v.u.Member(id); p != nil {
		return p.Image
	}
	return ""
}

// atTarget says whether a member reported the image that it is to run.
func (v sight) atTarget(id string) bool {
	m, known := v.Members[id]
	return known && m.Image != "" && m.Image == v.aim(id)
}

// same: this process is the one that claimed. The image must not be the
// target's either: a boot id is random, but the image is the truth.
func same(v sight) bool { return v.turn.Claimed && v.turn.Boot == v.Boot && !v.atTarget(v.Me) }

// called: somebody asked that nothing new begins.
func called(v sight) bool { return v.u.Stop || v.u.Paused != nil || v.u.Rollback != "" }

// untried: a member that goes after the end had no part in the checking.
func untried(v sight) bool { return !called(v) && v.p.Checked != v.u.Runs }
func unfit(v sight) bool   { return v.p.Checked == v.u.Runs && len(v.p.Findings) > 0 }
func armed(v sight) bool   { return !called(v) && v.Armed == v.turn.Attempt }
func unarmed(v sight) bool { return !called(v) && v.Armed != v.turn.Attempt }
func elected(v sight) bool { return same(v) && v.Leading && len(v.Voters) > 1 }

func putBack(v sight) bool {
	return v.Verdict != nil && v.Verdict.Upgrade == v.u.ID && v.Verdict.Attempt == v.turn.Attempt && !v.atTarget(v.Me)
}

func swapMissed(v sight) bool {
	return v.turn.Claimed && v.turn.Boot != v.Boot && !v.atTarget(v.Me)
}
func attemptsLeft(v sight) bool { return v.p.Attempt-v.p.Before < Attempts }
func unswapped(v sight) bool    { return swapMissed(v) && attemptsLeft(v) }
func exhausted(v sight) bool    { return swapMissed(v) && !attemptsLeft(v) }

func arrived(v sight) bool {
	return v.atTarget(v.turn.Member) && v.Members[v.turn.Member].Boot != v.turn.Boot
}

func restarted(v sight) bool {
	return v.atTarget(v.turn.Member) && v.Members[v.turn.Member].Boot != v.p.Boot
}

func seasoned(v sight) bool { return v.Waited >= v.u.Options.Probation && v.atTarget(v.turn.Member) }

func settled(v sight) bool {
	return seasoned(v) && v.Pong != nil && v.Pong.Member == v.turn.Member && v.Pong.Boot == v.p.Boot
}

// overdue: the present wait has lasted its time. What is paused waits for a person.
// So does what a migration is at work for, which has a deadline of its own.
func overdue(v sight) bool {
	return v.Waited >= limit(v.u) && (v.turn != nil || v.u.Paused == nil) && v.u.Job == ""
}

func stopped(v sight) bool     { return v.u.Stop }
func stoppedIdle(v sight) bool { return v.u.Stop && v.turn == nil }
func backAsked(v sight) bool   { return v.u.Rollback != "" && v.turn == nil && !v.u.Stop }

func unchecked(v sight) bool {
	p := v.u.Member(v.Me)
	return p != nil && included(*p) && p.Checked != v.u.Runs
}

// found waits for every trial run, so that all there is to mend is told at once.
func found(v sight) bool {
	checked := func(p model.Progress) bool { return p.Checked == v.u.Runs }
	return v.all(checked) && v.any(func(p model.Progress) bool { return checked(p) && len(p.Findings) > 0 })
}

func allChecked(v sight) bool {
	return v.all(func(p model.Progress) bool { return p.Checked == v.u.Runs && len(p.Findings) == 0 })
}

// fellOut: a member did not get there, the new version does not work as it
// should, or members of two versions made different records of the same commands.
func fellOut(v sight) bool {
	return v.turn == nil && (len(v.Apart) > 0 || v.u.Proof != nil && len(v.u.Proof.Findings) > 0 || v.any(func(p model.Progress) bool {
		return p.Step == model.Broken || p.Step == model.Reverted
	}))
}

func fellOutBack(v sight) bool { return v.u.Options.OnFailure == model.OnFailureRollback && fellOut(v) }

// unproven: before the second member goes, the first one has to prove that the
// new version works, and that the old one can read what it wrote.
func unproven(v sight) bool {
	return v.Level > 0 && v.turn == nil && !called(v) && v.first() != "" && (v.u.Proof == nil || v.u.Proof.Run != v.u.Runs)
}

// unfitForWork: what the first member does on the new version is no good, as its
// proof says. It has failed, and goes back by itself (S5).
func unfitForWork(v sight) bool {
	proof := v.u.Proof
	if v.turn != nil || proof == nil || !proof.Unfit || proof.Run != v.u.Runs {
		return false
	}
	p := v.u.Member(proof.Member)
	return p != nil && p.Step == model.Done
}

// first is a member that is done.
func (v sight) first() string {
	for _, p := range v.u.Members {
		if p.Step == model.Done {
			return p.ID
		}
	}
	return ""
}

func holdDue(v sight) bool {
	through := 0
	for _, p := range v.u.Members {
		if finished(p) {
			through++
		}
	}
	after := v.u.Options.HoldAfter
	return after > 0 && through >= after && v.u.Held != v.u.Runs && v.turn == nil && !called(v) && v.any(v.yetToGo)
}

// undone finds a step on record that the running image gives the lie to (S5).
func undone(v sight) bool { return v.Level > 0 && v.turn == nil && v.liar() != nil }

func (v sight) liar() *model.Progress {
	for i, p := range v.u.Members {
		said, other := finished(p), p.Image
		if v.u.Phase == model.Reverting || v.u.Back == model.BackDone {
			said, other = p.Step == model.Reverted, v.image(p.ID)
		}
		if said && other != "" && v.Members[p.ID].Image == other && !v.atTarget(p.ID) {
			return &v.u.Members[i]
		}
	}
	return nil
}

// stuck: a member could not go back.
func stuck(v sight) bool {
	return v.turn == nil && v.any(func(p model.Progress) bool { return p.Step == model.Broken })
}

func allBack(v sight) bool {
	return v.turn == nil && !v.any(func(p model.Progress) bool { return included(p) && p.Step != model.Reverted })
}

func allDone(v sight) bool { return v.turn == nil && v.all(finished) }

func unverified(v sight) bool {
	p := v.u.Member(v.Me)
	return p != nil && included(*p) && !p.Verified && v.atTarget(v.Me)
}

func allVerified(v sight) bool {
	return v.all(func(p model.Progress) bool { return p.Verified && v.atTarget(p.ID) })
}

func completable(v sight) bool {
	return !v.u.Completed && !v.u.Options.Hold && v.u.Options.Mode != model.ModeBackground &&
		v.everyoneThere() && len(unfinished(v.u, model.Expand, model.Migrate)) == 0
}

// everyoneThere: every member of the cluster runs the target, and none is out (S13:
// every attempt is closed).
func (v sight) everyoneThere() bool {
	return !called(v) && v.turn == nil && v.everyoneAt()
}

func (v sight) everyoneAt() bool {
	for id := range v.Members {
		if !v.atTarget(id) {
			return false
		}
	}
	return true
}

// behind: this member was left out, joined since or did not come back the last
// time, and the others are through.
// One of another build of the same version is not behind: somebody put it there.
func behind(v sight) bool {
	p, me := v.u.Member(v.Me), v.Members[v.Me]
	out := p == nil || p.Step == model.Excluded || p.Step == model.Broken && p.Boot != v.Boot && p.Attempt-p.Before < Attempts
	return out && !v.atTarget(v.Me) && policy.Older(me.Version, v.u.Archive.Version)
}

// included says whether a member takes part: all do whom the operator did not
// leave out.
func included(p model.Progress) bool { return p.Step != model.Excluded }

// all says whether there is somebody who takes part, and it fits all who do.
func (v sight) all(fits func(model.Progress) bool) bool {
	some := false
	for _, p := range v.u.Members {
		if included(p) && !fits(p) {
			return false
		}
		some = some || included(p)
	}
	return some
}

func (v sight) any(fits func(model.Progress) bool) bool {
	return slices.ContainsFunc(v.u.Members, fits)
}

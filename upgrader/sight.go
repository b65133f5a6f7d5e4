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

	Gate    string        // the recorded cluster version
	Waited  time.Duration // how long the present wait has lasted, over all leaders
	Armed   int           // the attempt that this member is armed for; 0: none
	Verdict *model.Verdict
	Pong    *Pong // the freshest answer to a ping in this wait
	Tries   int   // hand-overs tried in this wait

	Answered map[string]bool // who answered the last survey of this wait
	Open     bool            // the window in which members may go
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

// runsTarget says whether a member reported the image that the archive holds
// for its platform.
func (v sight) runsTarget(id string) bool {
	m, known := v.Members[id]
	return known && m.Image != "" && m.Image == v.u.Archive.Images[m.Platform]
}

// sameProcess: this process is the one that claimed. The image must not be the
// target's either: a boot id is random, but the image is the truth.
func same(v sight) bool { return v.turn.Claimed && v.turn.Boot == v.Boot && !v.runsTarget(v.Me) }

// untried: a member that goes after the end had no part in the checking.
func untried(v sight) bool { return !v.u.Stop && v.p.Checked != v.u.Runs }
func unfit(v sight) bool   { return v.p.Checked == v.u.Runs && len(v.p.Findings) > 0 }
func armed(v sight) bool   { return !v.u.Stop && v.Armed == v.turn.Attempt }
func unarmed(v sight) bool { return !v.u.Stop && v.Armed != v.turn.Attempt }
func elected(v sight) bool { return same(v) && v.Leading && len(v.Voters) > 1 }

func putBack(v sight) bool {
	return v.Verdict != nil && v.Verdict.Upgrade == v.u.ID && v.Verdict.Attempt == v.turn.Attempt && !v.runsTarget(v.Me)
}

func swapMissed(v sight) bool {
	return v.turn.Claimed && v.turn.Boot != v.Boot && !v.runsTarget(v.Me)
}
func attemptsLeft(v sight) bool { return v.p.Attempt-v.p.Before < Attempts }
func unswapped(v sight) bool    { return swapMissed(v) && attemptsLeft(v) }
func exhausted(v sight) bool    { return swapMissed(v) && !attemptsLeft(v) }

func arrived(v sight) bool {
	return v.runsTarget(v.turn.Member) && v.Members[v.turn.Member].Boot != v.turn.Boot
}

func restarted(v sight) bool {
	return v.runsTarget(v.turn.Member) && v.Members[v.turn.Member].Boot != v.p.Boot
}

func seasoned(v sight) bool { return v.Waited >= v.u.Options.Probation && v.runsTarget(v.turn.Member) }

func settled(v sight) bool {
	return seasoned(v) && v.Pong != nil && v.Pong.Member == v.turn.Member && v.Pong.Boot == v.p.Boot
}

func overdue(v sight) bool { return v.Waited >= limit(v.u) }

func stopped(v sight) bool     { return v.u.Stop }
func stoppedIdle(v sight) bool { return v.u.Stop && v.turn == nil }

func unchecked(v sight) bool {
	p := v.u.Member(v.Me)
	return p != nil && included(*p) && p.Checked != v.u.Runs
}

func found(v sight) bool {
	return v.any(func(p model.Progress) bool { return p.Checked == v.u.Runs && len(p.Findings) > 0 })
}

func allChecked(v sight) bool {
	return v.all(func(p model.Progress) bool { return p.Checked == v.u.Runs && len(p.Findings) == 0 })
}

func fellOut(v sight) bool {
	return v.turn == nil && v.any(func(p model.Progress) bool {
		return p.Step == model.Broken || p.Step == model.Reverted
	})
}

func allDone(v sight) bool { return v.turn == nil && v.all(finished) }

func unverified(v sight) bool {
	p := v.u.Member(v.Me)
	return p != nil && included(*p) && !p.Verified && v.runsTarget(v.Me)
}

func allVerified(v sight) bool {
	return v.all(func(p model.Progress) bool { return p.Verified && v.runsTarget(p.ID) })
}

func completable(v sight) bool {
	if v.u.Completed {
		return false
	}
	for id := range v.Members {
		if !v.runsTarget(id) {
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
	return out && !v.runsTarget(v.Me) && policy.Older(me.Version, v.u.Archive.Version)
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

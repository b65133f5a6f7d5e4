package upgrader

import (
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Next says what this member does now: propose a command, do an effect, or wait.
// It is a pure function of the record and of what the member sees; what is not
// in the two tables cannot happen. The first row that fits is the one.
func Next(u *model.Upgrade, s Seen) Action {
	v := look(u, s)
	for _, r := range steps() {
		if slices.Contains(r.at, v.step) && v.is(r.who) && r.holds(v) {
			return r.does(v)
		}
	}
	for _, r := range phases() {
		if r.in == u.Phase && v.is(r.who) && r.holds(v) {
			return r.does(v)
		}
	}
	return Action{}
}

// phases is the upgrade as a whole.
func phases() []phaseRow {
	return []phaseRow{
		{model.Checking, member, "not checked in this run", unchecked, do(Check), ""},
		{model.Checking, leader, "stop is asked", stopped, clear, cleared},
		{model.Checking, leader, "a member found something", found, end, model.Failed},
		{model.Checking, leader, "every member passed", allChecked, move(model.Rolling), model.Rolling},
		{model.Checking, leader, "the time is over", overdue, end, model.Failed},

		{model.Rolling, leader, "a member failed or went back", fellOut, end, model.Failed},
		{model.Rolling, leader, "stop is asked, nobody is out", stoppedIdle, clear, cleared},
		{model.Rolling, leader, "a waiting member runs the target", already, skip, ""},
		{model.Rolling, leader, "nobody could go, the time is over", stranded, end, model.Failed},
		{model.Rolling, leader, "another member waits, all others answer", otherMayGo, grant, ""},
		{model.Rolling, leader, "another member waits, nobody is out", otherWaits, do(Survey), ""},
		{model.Rolling, leader, "it alone waits, and is the only voter", aloneWaits, grant, ""},
		{model.Rolling, leader, "it alone waits", selfWaits, do(HandOver), ""},
		{model.Rolling, leader, "all are done", allDone, move(model.Verifying), model.Verifying},

		{model.Verifying, member, "not verified", unverified, do(Verify), ""},
		{model.Verifying, leader, "stop is asked", stopped, clear, cleared},
		{model.Verifying, leader, "every member wrote and read", allVerified, end, model.Finished},
		{model.Verifying, leader, "the time is over", overdue, end, model.Failed},

		{model.Finished, leader, "every member runs the target", completable, complete, ""},
		{model.Finished, member, "it was left out, and is back", behind, back, ""},
		{model.Finished, leader, "a waiting member runs the target", already, skip, ""},
		{model.Finished, leader, "another is back, all others answer", otherMayGo, grant, ""},
		{model.Finished, leader, "another is back, nobody is out", otherWaits, do(Survey), ""},
		{model.Finished, leader, "it alone is behind", selfWaits, do(HandOver), ""},
	}
}

// steps is the one member whose turn it is.
func steps() []stepRow {
	out := []model.Step{model.Claimed, model.Draining, model.Leaving}
	return []stepRow{
		{on(model.Waiting), holder, "not checked in this run", untried, do(Check), ""},
		{on(model.Waiting), holder, "its trial run found something", unfit, giveUp, model.Broken},
		{on(model.Waiting), holder, "armed for this attempt", armed, claim, model.Claimed},
		{on(model.Waiting), holder, "not armed yet", unarmed, do(Arm), ""},
		{on(model.Waiting), leader, "stop is asked", stopped, withdraw, model.Waiting},

		{out, holder, "it was elected meanwhile", elected, release, model.Waiting},
		{on(model.Claimed), holder, "in the process that claimed", same, step(model.Draining), model.Draining},
		{on(model.Draining), holder, "in the process that claimed", same, do(Drain), model.Leaving},
		{on(model.Leaving), holder, "in the process that claimed", same, do(Swap), ""},

		{append(out, model.Probation), holder, "it was put back", putBack, revert, model.Reverted},
		{out, holder, "restarted on the old image", unswapped, release, model.Waiting},
		{out, holder, "restarted so for the third time", exhausted, giveUp, model.Broken},

		{out, leader, "the member reports the target", arrived, admit, model.Probation},
		{on(model.Probation), leader, "the member restarted", restarted, admit, model.Probation},
		{on(model.Probation), leader, "stable for long enough, answers", settled, step(model.Done), model.Done},
		{on(model.Probation), leader, "stable for long enough", seasoned, do(Ping), ""},
		{append(out, model.Waiting, model.Probation), leader, "the time is over", overdue, giveUp, model.Broken},
	}
}

// Action is what Next answers: at most one of Op and Do; neither is: wait.
type Action struct {
	Op   store.Op // propose this command
	Body any      // with this body
	Do   Effect   // do this
	To   string   // to or with this member
}

// Effect is what a member does beside proposing. Each may be done again: the
// record says whether it is still wanted.
type Effect string

const (
	Check    Effect = "try the new binary"
	Arm      Effect = "make ready to swap"
	Drain    Effect = "drain and record leaving"
	Swap     Effect = "swap and re-execute"
	Survey   Effect = "ask every other member whether it is well"
	HandOver Effect = "hand leadership over"
	Ping     Effect = "ask the member whether it is well"
	Verify   Effect = "write and read through itself"
)

// cleared stands in the tables for the record being gone.
const cleared model.Phase = "(cleared)"

// hat is who a row speaks to.
type hat string

const (
	member hat = "every member"
	leader hat = "the leader"
	holder hat = "the member whose turn it is"
)

type phaseRow struct {
	in    model.Phase
	who   hat
	when  string
	holds func(sight) bool
	does  func(sight) Action
	to    model.Phase
}

type stepRow struct {
	at    []model.Step
	who   hat
	when  string
	holds func(sight) bool
	does  func(sight) Action
	to    model.Step
}

func on(s model.Step) []model.Step { return []model.Step{s} }

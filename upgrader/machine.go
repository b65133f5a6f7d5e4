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
		if slices.Contains(r.in, u.Phase) && v.is(r.who) && r.holds(v) {
			return r.does(v)
		}
	}
	return Action{}
}

// phases is the upgrade as a whole.
func phases() []phaseRow {
	all := []model.Phase{model.Rolling, model.Verifying, model.Migrating, model.Finished, model.Failed, model.Reverting}
	under := []model.Phase{model.Checking, model.Rolling, model.Verifying, model.Migrating, model.Finished, model.Failed}
	return []phaseRow{
		{all, leader, "it is on the wrong side of the floor", misplaced, do(StepAside), ""},
		{all, leader, "it leads above the floor", aboveFloor, moveFloor, ""},
		{all, leader, "stop is asked, nobody is out", stoppedIdle, clear, cleared},
		{under, leader, "roll-back is asked, nobody is out", backAsked, turnBack, model.Reverting},

		{in(model.Checking), member, "not checked in this run", unchecked, do(Check), ""},
		{in(model.Checking), leader, "stop is asked", stopped, clear, cleared},
		{in(model.Checking), leader, "a member found something", found, end, model.Failed},
		{in(model.Checking), leader, "every member passed, no backup was made for this run", backupDue, do(BackUp), ""},
		{in(model.Checking), leader, "making room in the data failed", expandFailed, end, model.Failed},
		{in(model.Checking), leader, "every member passed, there is room to be made in the data", expandDue, migration, ""},
		{in(model.Checking), leader, "every member passed", mayRoll, move(model.Rolling), model.Rolling},
		{in(model.Checking), leader, "the time is over", overdue, end, model.Failed},

		{in(model.Rolling), leader, "the first is done and does not work", unfitForWork, discredit, ""},
		{in(model.Rolling), leader, "a member failed, and failing means going back", fellOutBack, turnBack, model.Reverting},
		{in(model.Rolling), leader, "a member failed or went back", fellOut, end, model.Failed},
		{in(model.Rolling), leader, "a done member runs the old image", undone, correct, ""},
		{in(model.Rolling), leader, "a waiting member runs the target", already, skip, ""},
		{in(model.Rolling), leader, "nobody could go in time, and failing means going back", strandedBack, turnBack, model.Reverting},
		{in(model.Rolling), leader, "nobody could go, the time is over", stranded, end, model.Failed},
		{in(model.Rolling), leader, "the first is done, its work not proven", unproven, do(Prove), ""},
		{in(model.Rolling), leader, "as many as asked are through", holdDue, hold, ""},
		{in(model.Rolling), leader, "another member waits, all others answer and agree", otherMayGo, grant, ""},
		{in(model.Rolling), leader, "another member waits, nobody is out", otherWaits, do(Survey), ""},
		{in(model.Rolling), leader, "it alone waits, and is the only voter", aloneWaits, grant, ""},
		{in(model.Rolling), leader, "it alone waits", selfWaits, do(HandOver), ""},
		{in(model.Rolling), leader, "all are done", allDone, move(model.Verifying), model.Verifying},

		{in(model.Verifying), member, "not verified", unverified, do(Verify), ""},
		{in(model.Verifying), leader, "every member wrote and read, data is to be migrated first", dataFirst, move(model.Migrating), model.Migrating},
		{in(model.Verifying), leader, "every member wrote and read", allVerified, end, model.Finished},
		{in(model.Verifying), leader, "the time is over", overdue, end, model.Failed},

		{in(model.Migrating), leader, "data is to be migrated", migrateDue, migration, ""},
		{in(model.Migrating), leader, "all data is migrated", allMigrated, end, model.Finished},

		{in(model.Finished), leader, "every member runs the target, data is to be migrated", migrateDue, migration, ""},
		{in(model.Finished), leader, "every member runs the target, no hold is asked, data was migrated", completableData, do(Complete), ""},
		{in(model.Finished), leader, "every member runs the target, no hold is asked", completable, complete, ""},
		{in(model.Finished), leader, "completed, what that left to do is to be done", contractDue, migration, ""},
		{in(model.Finished), member, "it was left out, and is back", behind, back, ""},
		{in(model.Finished), leader, "one that was through runs the old image", undone, correct, ""},
		{in(model.Finished), leader, "a waiting member runs the target", already, skip, ""},
		{in(model.Finished), leader, "another is back, all others answer", otherMayGo, grant, ""},
		{in(model.Finished), leader, "another is back, nobody is out", otherWaits, do(Survey), ""},
		{in(model.Finished), leader, "it alone is behind", selfWaits, do(HandOver), ""},

		{in(model.Reverting), leader, "a member could not go back", stuck, endBack, model.Failed},
		{backwards(), leader, "a member that is back runs the target", undone, correct, ""},
		{in(model.Reverting), leader, "a member to go back runs the old image", already, correct, ""},
		{in(model.Reverting), leader, "nobody could go, the time is over", stranded, endBack, model.Failed},
		{in(model.Reverting), leader, "all are back", allBack, endBack, model.Failed},

		{backwards(), leader, "another is to go back, all others answer", otherMayGo, grantBack, ""},
		{backwards(), leader, "another is to go back, nobody is out", otherWaits, do(Survey), ""},
		{backwards(), leader, "it alone is to go back, and is the only voter", aloneWaits, grantBack, ""},
		{backwards(), leader, "it alone is to go back", selfWaits, do(HandOver), ""},
	}
}

// steps is the one member whose turn it is.
func steps() []stepRow {
	out := []model.Step{model.Claimed, model.Draining, model.Leaving}
	granted := []model.Step{model.Waiting, model.Returning}
	return []stepRow{
		{on(model.Waiting), holder, "not checked in this run", untried, do(Check), ""},
		{on(model.Waiting), holder, "its trial run found something", unfit, giveUp, model.Broken},
		{granted, holder, "armed for this attempt", armed, claim, model.Claimed},
		{granted, holder, "not armed yet", unarmed, do(Arm), ""},
		{granted, leader, "stop, pause or roll-back is asked", called, withdraw, ""},

		{out, holder, "it was elected meanwhile", elected, release, model.Waiting},
		{on(model.Claimed), holder, "in the process that claimed", same, step(model.Draining), model.Draining},
		{on(model.Draining), holder, "in the process that claimed", same, do(Drain), model.Leaving},
		{on(model.Leaving), holder, "in the process that claimed", same, do(Swap), ""},

		{append(out, model.Probation), holder, "it was put back", putBack, revert, model.Reverted},
		{out, holder, "restarted on the image it left", unswapped, release, model.Waiting},
		{out, holder, "restarted so for the third time", exhausted, giveUp, model.Broken},

		{out, leader, "the member reports its target", arrived, admit, model.Probation},
		{on(model.Probation), leader, "the member restarted", restarted, admit, model.Probation},
		{on(model.Probation), leader, "stable for long enough, answers", settled, settle, model.Done},
		{append(out, model.Waiting, model.Returning, model.Probation), leader, "the time is over", overdue, giveUp, model.Broken},
		{on(model.Probation), leader, "stable for long enough", seasoned, do(Ping), ""},
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
	BackUp   Effect = "make a backup"
	Arm      Effect = "make ready to swap"
	Drain    Effect = "drain and record leaving"
	Swap     Effect = "swap and re-execute"
	Survey   Effect = "ask every other member whether it is well and agrees"
	HandOver Effect = "hand leadership over"
	Prove    Effect = "prove that it works, and the way back"
	Ping     Effect = "ask the member whether it is well"
	Verify   Effect = "write and read through itself"
	Complete Effect = "check that all data is migrated, and complete"

	StepAside Effect = "hand leadership to a member of the version that has led"
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
	in    []model.Phase
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

func on(s model.Step) []model.Step   { return []model.Step{s} }
func in(p model.Phase) []model.Phase { return []model.Phase{p} }

// backwards are the phases in which members go back: all of them, or one that
// failed and runs the new image all the same (S5).
func backwards() []model.Phase { return []model.Phase{model.Reverting, model.Failed} }

package upgrader

import (
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// careful is what a member sees in a cluster whose members all read level 1.
func careful(me string) Seen {
	s := seenBy(me)
	s.Level, s.Gate, s.Version = 1, "1.0.0", s.Members[me].Version
	return s
}

func (s Seen) heard(ids ...string) Seen {
	s.Answered = map[string]bool{}
	for _, id := range ids {
		s.Answered[id] = true
	}
	return s
}

func (s Seen) after(d time.Duration) Seen { s.Waited = d; return s }

func (s Seen) onFloor(version, floor string) Seen { s.Version, s.Floor = version, floor; return s }

func proved(u *model.Upgrade, findings ...string) *model.Upgrade {
	u.Proof = &model.Proof{Run: u.Runs, Member: "n2", Findings: findings}
	return u
}

// checked has every member pass its trial run, but for those named.
func checked(u *model.Upgrade, but ...string) *model.Upgrade {
	u.Phase, u.From = model.Checking, "1.0.0"
	passed(u)
	for _, id := range but {
		u.Member(id).Checked = 0
	}
	return u
}

func passed(u *model.Upgrade) {
	for i := range u.Members {
		u.Members[i].Checked = u.Runs
	}
}

func useless(u *model.Upgrade) *model.Upgrade { u.Proof.Unfit = true; return u }

func asking(u *model.Upgrade, change func(*model.Upgrade)) *model.Upgrade { change(u); return u }

// going is a rollout that goes back: n2 and n3 have been through.
func going(steps ...model.Step) *model.Upgrade {
	u := rollout()
	u.Phase = model.Reverting
	for i, s := range steps {
		u.Members[i].Step = s
	}
	return u
}

func TestNextWithCare(t *testing.T) {
	paused := func(u *model.Upgrade) { u.Paused = &model.Pause{By: "admin"} }
	back := func(u *model.Upgrade) { u.Rollback = "admin" }
	in := func(p model.Phase) func(*model.Upgrade) { return func(u *model.Upgrade) { u.Phase = p } }
	option := func(o model.Options) func(*model.Upgrade) {
		return func(u *model.Upgrade) { o.Deadline = u.Options.Deadline; u.Options = o }
	}
	n2New := func(s Seen) Seen { return s.onNew("n2", "n2-boot2") }
	allNew := func(s Seen) Seen { return n2New(s).onNew("n1", "n1-boot2").onNew("n3", "n3-boot2") }
	five := func(s Seen) Seen { s.Voters = []string{"n1", "n2", "n3", "n4", "n5"}; return s }
	lead := func() Seen { return careful("n1").leading() }
	first := func() Seen { return n2New(lead()) } // n2 is through
	turnBack := asking(turn(going(model.Reverted, model.Waiting, model.Returning), "n2", model.Returning), func(u *model.Upgrade) { u.Turn.Back = true })

	for _, c := range []struct {
		name string
		u    *model.Upgrade
		s    Seen
		op   store.Op
		do   Effect
		to   string
	}{
		{"paused, nobody gets a turn", asking(rollout(), paused), lead().heard("n2", "n3"), "", "", ""},
		{"paused, a granted turn is withdrawn", asking(turn(rollout(), "n2", model.Waiting), paused), lead(), store.OpTurnWithdraw, "", ""},
		{"paused, nobody claims", asking(turn(rollout(), "n2", model.Waiting), paused), func() Seen { s := careful("n2"); s.Armed = 1; return s }(), "", "", ""},
		{"paused, a member that is out comes back", asking(turn(rollout(), "n2", model.Leaving), paused), first(), store.OpTurnStep, "", ""},
		{"paused, time does not run out", asking(rollout(), paused), lead().after(100 * time.Hour), "", "", ""},
		{"paused in checking, time does not run out either", asking(asking(rollout(), in(model.Checking)), func(u *model.Upgrade) { paused(u); u.Members[2].Checked = 0 }), lead().after(100 * time.Hour), "", "", ""},
		{"paused, leadership does not move", asking(proved(done(rollout(), "n2", "n3")), paused), first().onNew("n3", "x"), "", "", ""},

		{"the first that is done proves its work", done(rollout(), "n2"), first(), "", Prove, "n2"},
		{"proven, the next may go", proved(done(rollout(), "n2")), first().heard("n2"), store.OpTurnGrant, "", ""},
		{"what is found ends it", proved(done(rollout(), "n2"), "lost"), first(), store.OpUpgradeMove, "", ""},
		{"all passed, a backup is made", checked(rollout()), lead(), "", BackUp, ""},
		{"nobody else makes it", checked(rollout()), careful("n2"), "", "", ""},
		{"made, they roll", asking(checked(rollout()), func(u *model.Upgrade) { u.BackupRun = u.Runs }), lead(), store.OpUpgradeMove, "", ""},
		{"one of an earlier run is none", asking(checked(rollout()), func(u *model.Upgrade) { u.Runs, u.BackupRun = 2, 1; passed(u) }), lead(), "", BackUp, ""},
		{"none is to be made", asking(checked(rollout()), option(model.Options{Backup: model.BackupNone})), lead(), store.OpUpgradeMove, "", ""},
		{"none before a patch", asking(checked(rollout()), func(u *model.Upgrade) { u.Archive.Version = "1.0.1" }), lead(), store.OpUpgradeMove, "", ""},
		{"none while one does not answer", checked(rollout(), "n3"), lead(), "", "", ""},
		{"it could not be made in time", checked(rollout()), lead().after(time.Hour), store.OpUpgradeMove, "", ""},
		{"a first that does not work has failed", useless(proved(done(rollout(), "n2"), "lost")), first(), store.OpUpgradeCorrect, "", ""},
		{"in this run", asking(useless(proved(done(rollout(), "n2"))), func(u *model.Upgrade) { u.Proof.Run = 0 }), first(), "", Prove, "n2"},
		{"and once", useless(proved(asking(rollout(), func(u *model.Upgrade) { u.Member("n2").Step = model.Broken }), "lost")), first(), store.OpUpgradeMove, "", ""},
		{"or takes it back", asking(proved(done(rollout(), "n2"), "lost"), option(model.Options{OnFailure: model.OnFailureRollback})), first(), store.OpUpgradeRevert, "", ""},
		{"what cannot be found out in time ends it", done(rollout(), "n2"), first().after(time.Hour), store.OpUpgradeMove, "", ""},
		{"a proof of an earlier run is none", asking(proved(done(rollout(), "n2")), func(u *model.Upgrade) { u.Proof.Run = 0 }), first(), "", Prove, "n2"},
		{"before level 1 nothing is proven", done(rollout(), "n2"), seenBy("n1").leading().onNew("n2", "n2-boot2").heard("n2"), store.OpTurnGrant, "", ""},

		{"held after so many", asking(proved(done(rollout(), "n2")), option(model.Options{HoldAfter: 1})), first().heard("n2"), store.OpUpgradePause, "", ""},
		{"held once a run", asking(proved(done(rollout(), "n2")), func(u *model.Upgrade) { u.Options.HoldAfter, u.Held = 1, 1 }), first().heard("n2"), store.OpTurnGrant, "", ""},
		{"on hold nothing completes by itself", asking(done(rollout(), "n1", "n2", "n3"), func(u *model.Upgrade) { u.Phase, u.Options.Hold = model.Finished, true }), allNew(lead()), "", "", ""},

		{"records that differ end it", proved(done(rollout(), "n2")), func() Seen { s := first().heard("n2", "n3"); s.Apart = []string{"n2 and n3"}; return s }(), store.OpUpgradeMove, "", ""},
		{"a restart that costs the quorum is not granted", func() *model.Upgrade {
			u := proved(done(rollout(), "n3"))
			u.Members = append(u.Members, model.Progress{ID: "n4", Step: model.Excluded}, model.Progress{ID: "n5", Step: model.Excluded})
			return u
		}(), five(lead().onNew("n3", "x").heard("n3")), "", Survey, "n2"},
		{"unless that is accepted", func() *model.Upgrade {
			u := proved(done(rollout(), "n3"))
			u.Options.Ignore = []string{model.IgnoreQuorum}
			u.Members = append(u.Members, model.Progress{ID: "n4", Step: model.Excluded}, model.Progress{ID: "n5", Step: model.Excluded})
			return u
		}(), five(lead().onNew("n3", "x").heard("n3")), store.OpTurnGrant, "", ""},

		{"S5 done with the old image goes again", proved(done(rollout(), "n2")), lead(), store.OpUpgradeCorrect, "", ""},
		{"S5 failed with the new image is looked after", asking(rollout(), func(u *model.Upgrade) { u.Phase = model.Failed; u.Member("n2").Step = model.Broken }), first(), "", Survey, "n2"},
		{"S5 and goes back when all answer, itself too", asking(rollout(), func(u *model.Upgrade) { u.Phase = model.Failed; u.Member("n2").Step = model.Broken }), first().heard("n2", "n3"), store.OpTurnBack, "", ""},
		{"S5 not while it is silent", asking(rollout(), func(u *model.Upgrade) { u.Phase = model.Failed; u.Member("n2").Step = model.Broken }), first().heard("n3"), "", Survey, "n2"},
		{"S5 not for ever", asking(rollout(), func(u *model.Upgrade) {
			u.Phase = model.Failed
			u.Member("n2").Step, u.Member("n2").Attempt = model.Broken, 2*Attempts
		}), first().heard("n2", "n3"), "", "", ""},
		{"a member that failed on the old image stays so", asking(rollout(), func(u *model.Upgrade) { u.Phase = model.Failed; u.Member("n2").Step = model.Broken }), lead().heard("n2", "n3"), "", "", ""},

		{"S8 a leader above the gate raises the floor", proved(done(rollout(), "n1", "n2")), allNew(lead()).onFloor("1.1.0", ""), store.OpClusterFloor, "", ""},
		{"S8 below it, it hands over to one that is done", proved(done(rollout(), "n2")), first().onFloor("1.0.0", "1.1.0"), "", StepAside, "n2"},
		{"S8 paused or not", asking(proved(done(rollout(), "n2")), paused), first().onFloor("1.0.0", "1.1.0"), "", StepAside, "n2"},
		{"S8 with bounded tries", proved(done(rollout(), "n2")), func() Seen {
			s := first().onFloor("1.0.0", "1.1.0").heard("n2", "n3")
			s.Tries = Attempts
			return s
		}(), store.OpTurnGrant, "", ""},
		{"S8 going back turns the floor round", going(model.Returning, model.Reverted, model.Returning), lead().onFloor("1.0.0", "1.1.0"), store.OpClusterFloor, "", ""},
		{"S8 and a newer leader hands over", going(model.Returning, model.Reverted, model.Returning), lead().onNew("n1", "x").onNew("n3", "x").onFloor("1.1.0", "1.0.0"), "", StepAside, "n2"},

		{"asked to go back, it does when nobody is out", asking(done(rollout(), "n2"), back), first(), store.OpUpgradeRevert, "", ""},
		{"not while somebody is", asking(turn(rollout(), "n2", model.Leaving), back), lead(), "", "", ""},
		{"from the end too", asking(done(rollout(), "n1", "n2", "n3"), func(u *model.Upgrade) { u.Phase, u.Rollback = model.Finished, "admin" }), allNew(lead()), store.OpUpgradeRevert, "", ""},
		{"and from checking", asking(asking(rollout(), in(model.Checking)), back), lead(), store.OpUpgradeRevert, "", ""},
		{"members go back one by one", going(model.Reverted, model.Returning, model.Returning), first().onNew("n3", "x").heard("n3"), store.OpTurnBack, "", ""},
		{"whoever leads last", going(model.Returning, model.Reverted, model.Reverted), lead().onNew("n1", "n1-boot2"), "", HandOver, "n2"},
		{"the only voter goes itself", going(model.Returning, model.Reverted, model.Reverted), func() Seen { s := lead().onNew("n1", "n1-boot2"); s.Voters = []string{"n1"}; return s }(), store.OpTurnBack, "", ""},
		{"back on the old image is arrived", asking(turnBack, func(u *model.Upgrade) { u.Member("n2").Step = model.Leaving; u.Turn.Claimed = true }), func() Seen {
			s := lead().onNew("n3", "x")
			m := s.Members["n2"]
			m.Boot = "n2-boot3"
			s.Members["n2"] = m
			return s
		}(), store.OpTurnStep, "", ""},
		{"who runs the old image has gone back", going(model.Reverted, model.Returning, model.Reverted), lead(), store.OpUpgradeCorrect, "", ""},
		{"who runs the new one has not", going(model.Reverted, model.Reverted, model.Reverted), first(), store.OpUpgradeCorrect, "", ""},
		{"a closed window is no reason to stay", going(model.Reverted, model.Returning, model.Reverted), func() Seen { s := first().heard("n3"); s.Open = false; return s }(), store.OpTurnBack, "", ""},
		{"all back is the end", going(model.Reverted, model.Reverted, model.Reverted), lead(), store.OpUpgradeReverted, "", ""},
		{"one that could not is the end too", going(model.Reverted, model.Broken, model.Returning), first().onNew("n3", "x"), store.OpUpgradeReverted, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Next(c.u, c.s)
			if a.Op != c.op || a.Do != c.do || a.To != c.to {
				t.Errorf("got op %q, effect %q to %q; want op %q, effect %q to %q", a.Op, a.Do, a.To, c.op, c.do, c.to)
			}
		})
	}
}

// What a turn back ends in, by its steps.
func TestATurnBackEndsInItsDirection(t *testing.T) {
	out := func(step model.Step) *model.Upgrade {
		u := turn(going(model.Reverted, model.Returning, model.Reverted), "n2", step)
		u.Turn.Back = true
		return u
	}
	settled := careful("n1").leading().after(time.Minute)
	settled.Pong = &Pong{Member: "n2", Boot: "n2-boot1"}
	healed := careful("n2").onNew("n2", "n2-boot3")
	healed.Boot, healed.Verdict = "n2-boot3", &model.Verdict{Upgrade: "u1", Attempt: 1, Reason: "died three times"}
	elected := careful("n2").onNew("n2", "n2-boot1").leading()
	for _, c := range []struct {
		name   string
		u      *model.Upgrade
		s      Seen
		to     model.Step
		failed bool
		reason string
	}{
		{"settled", out(model.Probation), settled, model.Reverted, false, ""},
		{"put back to the new image", out(model.Leaving), healed, model.Broken, false, "could not go back"},
		{"elected meanwhile", out(model.Claimed), elected, model.Returning, false, "elected"},
		{"overdue", out(model.Leaving), careful("n1").leading().onNew("n2", "n2-boot1").after(time.Hour), model.Broken, false, "not back within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, ok := Next(c.u, c.s).Body.(store.TurnStep)
			if !ok || s.To != c.to || s.Failed != c.failed || !strings.Contains(s.Reason, c.reason) {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestTheQuorumIsCountedWithItsNumbers(t *testing.T) {
	for _, c := range []struct {
		voters int
		down   []string
		want   string
	}{
		{1, nil, ""}, {2, nil, ""}, {2, []string{"n2"}, ""}, {3, nil, ""},
		{3, []string{"n3"}, "while n1 restarts, 1 of 3 voters would be left, and a quorum is 2: n3 is down"},
		{5, []string{"n4"}, ""},
		{5, []string{"n4", "n5"}, "while n1 restarts, 2 of 5 voters would be left, and a quorum is 3: n4, n5 are down"},
	} {
		if got := shortOf(c.voters, "n1", c.down); got != c.want {
			t.Errorf("%d voters, %v down: got %q, want %q", c.voters, c.down, got, c.want)
		}
	}
}

package upgrader

import (
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	oldImage = "sha256:old"
	newImage = "sha256:new"
)

// rollout is a record of three members on the old image, rolling.
func rollout() *model.Upgrade {
	u := &model.Upgrade{
		ID: "u1", Phase: model.Rolling, Runs: 1, From: "1.0.0",
		Archive: model.Archive{Digest: "d", Version: "1.1.0", Images: map[string]string{"linux/amd64": newImage}},
		Options: model.Options{Deadline: time.Hour, Probation: 10 * time.Second},
	}
	for _, id := range []string{"n1", "n2", "n3"} {
		u.Members = append(u.Members, model.Progress{ID: id, Step: model.Waiting, Checked: 1, Image: oldImage})
	}
	return u
}

// seenBy is what a member sees when all three are up on the old image.
func seenBy(me string) Seen {
	s := Seen{Me: me, Boot: me + "-boot1", Voters: []string{"n1", "n2", "n3"}, Members: map[string]model.Member{}, Open: true}
	for _, id := range s.Voters {
		s.Members[id] = model.Member{ID: id, Name: id, Version: "1.0.0", Image: oldImage, Platform: "linux/amd64", Boot: id + "-boot1"}
	}
	return s
}

func (s Seen) leading() Seen { s.Leading = true; return s }

func (s Seen) onNew(id, boot string) Seen {
	m := s.Members[id]
	m.Version, m.Image, m.Boot = "1.1.0", newImage, boot
	s.Members[id] = m
	return s
}

// turn gives id the turn, at a step, claimed by its first process.
func turn(u *model.Upgrade, id string, step model.Step) *model.Upgrade {
	p := u.Member(id)
	p.Step, p.Attempt, p.Boot = step, 1, id+"-boot1"
	u.Turn = &model.Turn{Member: id, Attempt: 1, Claimed: step != model.Waiting, Boot: id + "-boot1"}
	return u
}

func done(u *model.Upgrade, ids ...string) *model.Upgrade {
	for _, id := range ids {
		u.Member(id).Step = model.Done
	}
	return u
}

// exampleSight makes every act of the tables speak, for the drawing.
func exampleSight(back bool) sight {
	u := turn(rollout(), "n2", model.Waiting)
	u.Turn.Back = back
	u.Archive.Migrations = []model.Migration{{}} // none is due by name
	u.Members[2].Step, u.Proof = model.Done, &model.Proof{Member: "n3"}
	s := seenBy("n1").onNew("n1", "n1-boot2")
	s.Verdict = &model.Verdict{Upgrade: "u1", Attempt: 1, Reason: "died three times"}
	return look(u, s)
}

func TestNext(t *testing.T) {
	restarted := func(s Seen, boot string) Seen { s.Boot = boot; return s }
	verdict := func(s Seen) Seen {
		s.Verdict = &model.Verdict{Upgrade: "u1", Attempt: 1, Reason: "died three times"}
		return s
	}
	waited := func(s Seen, d time.Duration) Seen { s.Waited = d; return s }
	armed := func(s Seen) Seen { s.Armed = 1; return s }
	answered := func(s Seen, ids ...string) Seen {
		s.Answered = map[string]bool{}
		for _, id := range ids {
			s.Answered[id] = true
		}
		return s
	}
	pong := func(s Seen, boot string) Seen { s.Pong = &Pong{Member: "n2", Boot: boot}; return s }
	stopping := func(u *model.Upgrade) *model.Upgrade { u.Stop = true; return u }
	voters := func(s Seen, ids ...string) Seen { s.Voters = ids; return s }
	closed := func(s Seen) Seen { s.Open = false; return s }
	excluded := func(u *model.Upgrade, id string) *model.Upgrade { u.Member(id).Step = model.Excluded; return u }
	in := func(p model.Phase, u *model.Upgrade) *model.Upgrade { u.Phase = p; return u }
	late := func() *model.Upgrade {
		return in(model.Finished, turn(done(rollout(), "n1", "n3"), "n2", model.Waiting))
	}
	phase := func(p model.Phase) *model.Upgrade { u := rollout(); u.Phase = p; return u }
	probation := turn(rollout(), "n2", model.Probation)
	probation.Member("n2").Boot = "n2-boot2"

	for _, c := range []struct {
		name string
		u    *model.Upgrade
		s    Seen
		op   store.Op
		do   Effect
		to   string
	}{
		{"a staged upgrade waits", phase(model.Staged), seenBy("n1").leading(), "", "", ""},
		{"before a turn all others are asked", rollout(), seenBy("n1").leading(), "", Survey, "n2"},
		{"the leader grants the turn to another when all others answer", rollout(), answered(seenBy("n1").leading(), "n3"), store.OpTurnGrant, "", ""},
		{"while another is down nobody goes", rollout(), answered(seenBy("n1").leading(), "n2"), "", Survey, "n2"},
		{"a member that stays down ends it", rollout(), waited(answered(seenBy("n1").leading(), "n2"), time.Hour), store.OpUpgradeMove, "", ""},
		{"a follower waits for a turn", rollout(), seenBy("n2"), "", "", ""},
		{"the holder arms before it claims", turn(rollout(), "n2", model.Waiting), seenBy("n2"), "", Arm, ""},
		{"armed, it claims", turn(rollout(), "n2", model.Waiting), armed(seenBy("n2")), store.OpTurnClaim, "", ""},
		{"nobody else acts on its turn", turn(rollout(), "n2", model.Waiting), armed(seenBy("n3")), "", "", ""},
		{"claimed, it drains", turn(rollout(), "n2", model.Claimed), seenBy("n2"), store.OpTurnStep, "", ""},
		{"draining, it gets quiet", turn(rollout(), "n2", model.Draining), seenBy("n2"), "", Drain, ""},
		{"leaving, it swaps", turn(rollout(), "n2", model.Leaving), seenBy("n2"), "", Swap, ""},
		{"elected after its claim, it releases", turn(rollout(), "n2", model.Claimed), seenBy("n2").leading(), store.OpTurnStep, "", ""},
		{"elected while it drains, it releases too", turn(rollout(), "n2", model.Draining), seenBy("n2").leading(), store.OpTurnStep, "", ""},
		{"elected before it swaps, it releases too", turn(rollout(), "n2", model.Leaving), seenBy("n2").leading(), store.OpTurnStep, "", ""},
		{"restarted on the old image, it releases", turn(rollout(), "n2", model.Leaving), restarted(seenBy("n2"), "n2-boot9"), store.OpTurnStep, "", ""},
		{"put back, it says so", turn(rollout(), "n2", model.Leaving), verdict(restarted(seenBy("n2"), "n2-boot9")), store.OpTurnStep, "", ""},
		{"the leader admits the new image", turn(rollout(), "n2", model.Leaving), seenBy("n1").leading().onNew("n2", "n2-boot2"), store.OpTurnStep, "", ""},
		{"the leader waits for a member that is out", turn(rollout(), "n2", model.Leaving), seenBy("n1").leading(), "", "", ""},
		{"the leader gives up a member after its deadline", turn(rollout(), "n2", model.Leaving), waited(seenBy("n1").leading(), time.Hour), store.OpTurnStep, "", ""},
		{"probation is waited for", probation, waited(seenBy("n1").leading().onNew("n2", "n2-boot2"), 9*time.Second), "", "", ""},
		{"after probation the member is asked", probation, waited(seenBy("n1").leading().onNew("n2", "n2-boot2"), 10*time.Second), "", Ping, "n2"},
		{"an answer of another process does not count", probation, pong(waited(seenBy("n1").leading().onNew("n2", "n2-boot2"), 10*time.Second), "n2-boot3"), "", Ping, "n2"},
		{"its answer settles it", probation, pong(waited(seenBy("n1").leading().onNew("n2", "n2-boot2"), 10*time.Second), "n2-boot2"), store.OpTurnStep, "", ""},
		{"a restart in probation begins it anew", probation, waited(seenBy("n1").leading().onNew("n2", "n2-boot3"), 10*time.Second), store.OpTurnStep, "", ""},
		{"when it alone waits, the leader hands over", done(rollout(), "n2", "n3"), seenBy("n1").leading(), "", HandOver, "n2"},
		{"the new leader gives the old one its turn", done(rollout(), "n2", "n3"), answered(seenBy("n2").leading(), "n3"), store.OpTurnGrant, "", ""},
		{"who runs the target already is skipped", rollout(), seenBy("n1").leading().onNew("n2", "n2-boot1"), store.OpUpgradeSkip, "", ""},
		{"stop lets a claimed turn end", stopping(turn(rollout(), "n2", model.Leaving)), seenBy("n1").leading(), "", "", ""},
		{"stop withdraws an unclaimed turn", stopping(turn(rollout(), "n2", model.Waiting)), seenBy("n1").leading(), store.OpTurnWithdraw, "", ""},
		{"under stop nobody arms or claims", stopping(turn(rollout(), "n2", model.Waiting)), armed(seenBy("n2")), "", "", ""},
		{"under stop, with nobody out, it is cleared", stopping(rollout()), seenBy("n1").leading(), store.OpUpgradeClear, "", ""},
		{"all done is verified", done(rollout(), "n1", "n2", "n3"), seenBy("n1").leading(), store.OpUpgradeMove, "", ""},
		{"a member verifies itself", phase(model.Verifying), seenBy("n3").onNew("n3", "x"), "", Verify, ""},
		{"a member on the old image verifies nothing", phase(model.Verifying), seenBy("n3"), "", "", ""},
		{"a finished upgrade is not completed while a member is behind", in(model.Finished, done(rollout(), "n1", "n2", "n3")), seenBy("n1").leading().onNew("n1", "x").onNew("n2", "x"), "", "", ""},
		{"it is completed when all run the target", phase(model.Finished), seenBy("n1").leading().onNew("n1", "x").onNew("n2", "x").onNew("n3", "x"), store.OpUpgradeComplete, "", ""},

		{"an observer goes before the voters", rollout(), voters(seenBy("n1").leading(), "n1", "n2"), "", Survey, "n3"},
		{"while the window is closed nobody goes", rollout(), closed(answered(seenBy("n1").leading(), "n3")), "", "", ""},
		{"nor is that a time that runs out", rollout(), waited(closed(seenBy("n1").leading()), 100*time.Hour), "", "", ""},
		{"nor does leadership move", done(rollout(), "n2", "n3"), closed(seenBy("n1").leading()), "", "", ""},
		{"a turn under way goes on in a closed window", turn(rollout(), "n2", model.Claimed), closed(seenBy("n2")), store.OpTurnStep, "", ""},
		{"who is left out is not waited for", done(excluded(rollout(), "n3"), "n1", "n2"), seenBy("n1").leading(), store.OpUpgradeMove, "", ""},
		{"nor asked before others go", excluded(rollout(), "n3"), answered(seenBy("n1").leading()), store.OpTurnGrant, "", ""},
		{"nor tried", in(model.Checking, excluded(phase(model.Checking), "n3")), seenBy("n3"), "", "", ""},
		{"back after the end, it says so", in(model.Finished, excluded(done(rollout(), "n1", "n2"), "n3")), seenBy("n3"), store.OpUpgradeBack, "", ""},
		{"so does one that joined since", in(model.Finished, &model.Upgrade{Archive: rollout().Archive}), seenBy("n3"), store.OpUpgradeBack, "", ""},
		{"one that runs another build of the version does not", in(model.Finished, excluded(rollout(), "n3")),
			func() Seen {
				s := seenBy("n3")
				s.Members["n3"] = model.Member{ID: "n3", Version: "1.1.0", Image: "sha256:own", Platform: "linux/amd64"}
				return s
			}(), "", "", ""},
		{"it goes when all others answer", in(model.Finished, done(rollout(), "n1", "n3")), answered(seenBy("n1").leading().onNew("n1", "x").onNew("n3", "x"), "n3"), store.OpTurnGrant, "", ""},
		{"not checked before, it is tried first", func() *model.Upgrade { u := late(); u.Member("n2").Checked = 0; return u }(), seenBy("n2"), "", Check, ""},
		{"and gives up on what that finds", func() *model.Upgrade { u := late(); u.Member("n2").Findings = []string{"x"}; return u }(), seenBy("n2"), store.OpTurnStep, "", ""},
		{"then it arms as any other", late(), seenBy("n2"), "", Arm, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Next(c.u, c.s)
			if a.Op != c.op || a.Do != c.do || a.To != c.to {
				t.Errorf("got op %q, effect %q to %q; want op %q, effect %q to %q", a.Op, a.Do, a.To, c.op, c.do, c.to)
			}
		})
	}
}

// What is seen and on record in the rows below.

func (s Seen) floor(version string) Seen { s.Floor = version; return s }
func (s Seen) tried(n int) Seen          { s.Tries = n; return s }
func (s Seen) boot(id string) Seen       { s.Boot = id; return s }
func (s Seen) armed() Seen               { s.Armed = 1; return s }
func (s Seen) differing() Seen           { s.Apart = []string{"the records differ"}; return s }
func (s Seen) putBack() Seen {
	s.Verdict = &model.Verdict{Upgrade: "u1", Attempt: 1, Reason: "died three times"}
	return s
}
func (s Seen) voting(ids ...string) Seen { s.Voters = ids; return s }

// upgraded is the same, with those members on the new version.
func upgraded(me string, ids ...string) Seen {
	s := careful(me)
	for _, id := range ids {
		s = s.onNew(id, id+"-boot2")
	}
	if m := s.Members[me]; m.Image == newImage {
		s.Version, s.Boot = m.Version, m.Boot
	}
	return s
}

func at(u *model.Upgrade, step model.Step, ids ...string) *model.Upgrade {
	for _, id := range ids {
		u.Member(id).Step = step
	}
	return u
}

// reverting is a rollout that goes back, with everybody back but those.
func reverting(ids ...string) *model.Upgrade {
	u := at(rollout(), model.Reverted, "n1", "n2", "n3")
	u.Phase = model.Reverting
	return at(u, model.Returning, ids...)
}

// backTurn gives id the turn to go back, claimed by its second process.
func backTurn(u *model.Upgrade, id string, step model.Step) *model.Upgrade {
	p := u.Member(id)
	p.Step, p.Attempt, p.Boot = step, 1, id+"-boot2"
	u.Turn = &model.Turn{Member: id, Attempt: 1, Claimed: step != model.Returning, Boot: id + "-boot2", Back: true}
	return u
}

// failedWith is an upgrade that failed with n2 in a step.
func failedWith(step model.Step) *model.Upgrade {
	u := at(rollout(), step, "n2")
	u.Phase = model.Failed
	return u
}

// target is what a command brings about, as far as a row decides it.
func target(a Action) string {
	switch b := a.Body.(type) {
	case store.UpgradeMove:
		return string(b.To)
	case store.UpgradeRevert:
		return strings.Join(b.Going, " ")
	case store.UpgradeReverted:
		return b.Back
	case store.UpgradeCorrect:
		return b.Member + " " + string(b.To)
	case store.TurnRef:
		return b.Member
	case store.TurnStep:
		return b.Member + " " + string(b.To)
	case store.ClusterFloor:
		return b.Version
	}
	return a.To
}

func TestNextToWhatEnd(t *testing.T) {
	paused := func(u *model.Upgrade) { u.Paused = &model.Pause{By: "admin"} }
	asked := func(u *model.Upgrade) { u.Rollback = "admin" }
	stop := func(u *model.Upgrade) { u.Stop = true }
	orBack := func(u *model.Upgrade) { u.Options.OnFailure = model.OnFailureRollback }
	holdAfter := func(n int) func(*model.Upgrade) { return func(u *model.Upgrade) { u.Options.HoldAfter = n } }
	phase := func(p model.Phase) func(*model.Upgrade) { return func(u *model.Upgrade) { u.Phase = p } }
	back := func(how string) func(*model.Upgrade) { return func(u *model.Upgrade) { u.Back = how } }
	attempts := func(id string, n int) func(*model.Upgrade) {
		return func(u *model.Upgrade) { u.Member(id).Attempt = n }
	}
	five := func() *model.Upgrade {
		u := at(rollout(), model.Excluded, "n2", "n3")
		u.Members = append(u.Members, model.Progress{ID: "n4", Step: model.Waiting, Image: oldImage}, model.Progress{ID: "n5", Step: model.Waiting, Image: oldImage})
		return u
	}
	ofFive := func(ids ...string) Seen {
		return careful("n1").leading().voting("n1", "n2", "n3", "n4", "n5").heard(ids...)
	}
	first := func() *model.Upgrade { return done(rollout(), "n2") } // is through
	levelled := func(s Seen) Seen { s.Level = 0; return s }

	for _, c := range []struct {
		name string
		u    *model.Upgrade
		s    Seen
		op   store.Op
		do   Effect
		to   string
	}{
		// The floor (S8).
		{"once the new version has led, an older leader steps aside", proved(first()), upgraded("n1", "n2").leading().floor("1.1.0"), "", StepAside, "n2"},
		{"after three tries it leads on", proved(first()), upgraded("n1", "n2").leading().floor("1.1.0").tried(3), "", Survey, "n3"},
		{"so does one that nobody can take over from", proved(rollout()), careful("n1").leading().floor("1.1.0"), "", Survey, "n2"},
		{"who is not through takes nothing over", proved(rollout()), upgraded("n1", "n2").leading().floor("1.1.0"), store.OpUpgradeSkip, "", ""},
		{"no voter, no heir", proved(first()), upgraded("n1", "n2").leading().voting("n1", "n3").floor("1.1.0"), "", Survey, "n3"},
		{"a follower has nothing to hand over", proved(first()), upgraded("n1", "n2").floor("1.1.0"), "", "", ""},
		{"at level 0 there is no floor", proved(first()), levelled(upgraded("n1", "n2").leading().floor("1.1.0")), "", Survey, "n3"},
		{"and notes it once", proved(first()), upgraded("n2", "n2").leading().floor("1.1.0"), "", Survey, "n1"},
		{"the version before never does", proved(first()), upgraded("n1", "n2").leading(), "", Survey, "n3"},
		{"nor does anybody at level 0", proved(first()), levelled(upgraded("n2", "n2").leading()), "", Survey, "n1"},
		{"going back, the old version lowers the floor", reverting("n1"), upgraded("n2", "n1").leading().floor("1.1.0"), store.OpClusterFloor, "", "1.0.0"},
		{"going back, the new one does not raise it", reverting("n1", "n3"), upgraded("n1", "n1", "n3").leading().floor("1.0.0").tried(3), "", Survey, "n3"},

		// Roll-back of the whole.
		{"asked while it rolls, it goes back", asking(proved(first()), asked), upgraded("n1", "n2").leading(), store.OpUpgradeRevert, "", "n2"},
		{"asked in the checking, nobody has to", asking(asking(rollout(), phase(model.Checking)), asked), careful("n1").leading(), store.OpUpgradeRevert, "", ""},
		{"asked while verifying", asking(asking(done(rollout(), "n1", "n2", "n3"), phase(model.Verifying)), asked), upgraded("n1", "n1", "n2", "n3").leading().floor("1.1.0"), store.OpUpgradeRevert, "", "n1 n2 n3"},
		{"asked when it has finished", asking(asking(done(rollout(), "n1", "n2", "n3"), phase(model.Finished)), asked), upgraded("n1", "n1", "n2", "n3").leading().floor("1.1.0"), store.OpUpgradeRevert, "", "n1 n2 n3"},
		{"asked when it has failed", asking(asking(first(), phase(model.Failed)), asked), upgraded("n1", "n2").leading(), store.OpUpgradeRevert, "", "n2"},
		{"who was left out does not go back", asking(asking(at(first(), model.Excluded, "n3"), phase(model.Rolling)), asked), upgraded("n1", "n2", "n3").leading(), store.OpUpgradeRevert, "", "n2"},
		{"a turn that is not claimed is withdrawn", asking(turn(rollout(), "n2", model.Waiting), asked), careful("n1").leading(), store.OpTurnWithdraw, "", "n2"},
		{"and is not claimed any more", asking(turn(rollout(), "n2", model.Waiting), asked), careful("n2").armed(), "", "", ""},
		{"a stop is stronger", asking(asking(asking(rollout(), phase(model.Checking)), asked), stop), careful("n1").leading(), store.OpUpgradeClear, "", ""},
		{"also when all goes back", asking(reverting("n2"), stop), upgraded("n1", "n2").leading(), store.OpUpgradeClear, "", ""},

		// What failing means.
		{"a member failed: it ends", at(rollout(), model.Broken, "n2"), careful("n1").leading(), store.OpUpgradeMove, "", "failed"},
		{"a member failed: it goes back", asking(at(done(rollout(), "n3"), model.Broken, "n2"), orBack), upgraded("n1", "n3").leading(), store.OpUpgradeRevert, "", "n3"},
		{"or take it back", asking(proved(first()), orBack), upgraded("n1", "n2").leading().differing(), store.OpUpgradeRevert, "", "n2"},
		{"nobody could go: it ends", rollout(), careful("n1").leading().after(time.Hour), store.OpUpgradeMove, "", "failed"},
		{"nobody could go: it goes back", asking(proved(first()), orBack), upgraded("n1", "n2").leading().after(time.Hour), store.OpUpgradeRevert, "", "n2"},

		// Steps that the running image gives the lie to (S5).
		{"a done member on its old image waits again", proved(first()), careful("n1").leading(), store.OpUpgradeCorrect, "", "n2 waiting"},
		{"for the third time it is given up", asking(proved(first()), attempts("n2", 3)), careful("n1").leading(), store.OpUpgradeCorrect, "", "n2 failed"},
		{"not while another is out", turn(done(rollout(), "n2"), "n3", model.Leaving), careful("n1").leading(), "", "", ""},
		{"one on a third image is somebody's own doing", proved(first()), func() Seen {
			s := careful("n1").leading()
			s.Members["n2"] = model.Member{ID: "n2", Image: "sha256:other", Platform: "linux/amd64"}
			return s
		}(), "", Survey, "n3"},
		{"a failed member on the new image is asked about", failedWith(model.Broken), upgraded("n1", "n2").leading(), "", Survey, "n2"},
		{"not while it does not", failedWith(model.Broken), upgraded("n1", "n2").leading().heard("n3"), "", Survey, "n2"},
		{"a leader that strayed hands over", failedWith(model.Broken), upgraded("n2", "n2").leading().floor("1.1.0"), "", HandOver, "n1"},
		{"the only voter goes itself", failedWith(model.Broken), upgraded("n2", "n2").leading().voting("n2").heard("n1", "n3").floor("1.1.0"), store.OpTurnBack, "", "n2"},
		{"one that tried often enough stays", asking(failedWith(model.Broken), attempts("n2", 6)), upgraded("n1", "n2").leading(), "", "", ""},
		{"not at level 0 either", failedWith(model.Broken), levelled(upgraded("n1", "n2").leading()), "", "", ""},
		{"not when going back has failed", asking(failedWith(model.Broken), back(model.BackFailed)), upgraded("n1", "n2").leading(), "", "", ""},
		{"rolled back, a member that comes on the new image goes back", asking(failedWith(model.Reverted), back(model.BackDone)), upgraded("n1", "n2").leading(), store.OpUpgradeCorrect, "", "n2 reverting"},
		{"one that was cut short goes on", asking(failedWith(model.Returning), back(model.BackDone)), upgraded("n1", "n2").leading().heard("n2", "n3"), store.OpTurnBack, "", "n2"},

		// Before the second member goes.
		{"in each run", asking(first(), func(u *model.Upgrade) { u.Proof, u.Runs = &model.Proof{Run: 1}, 2 }), upgraded("n1", "n2").leading(), "", Prove, "n2"},
		{"the last one has to, too", done(rollout(), "n1", "n2", "n3"), upgraded("n1", "n1", "n2", "n3").leading().floor("1.1.0"), "", Prove, "n1"},
		{"one that was skipped proves nothing", at(rollout(), model.Skipped, "n2"), upgraded("n1", "n2").leading(), "", Survey, "n3"},
		{"paused, nothing is proven", asking(first(), paused), upgraded("n1", "n2").leading(), "", "", ""},

		// Pause and hold.
		{"as many as asked are through: it pauses", asking(proved(first()), holdAfter(1)), upgraded("n1", "n2").leading(), store.OpUpgradePause, "", ""},
		{"not before", asking(proved(first()), holdAfter(2)), upgraded("n1", "n2").leading(), "", Survey, "n3"},
		{"not when all are through", asking(proved(done(rollout(), "n1", "n2", "n3")), holdAfter(1)), upgraded("n1", "n1", "n2", "n3").leading().floor("1.1.0"), store.OpUpgradeMove, "", "verifying"},
		{"paused, a turn that is not claimed is withdrawn", asking(turn(rollout(), "n2", model.Waiting), paused), careful("n1").leading(), store.OpTurnWithdraw, "", "n2"},
		{"paused, one that is claimed goes on", asking(turn(rollout(), "n2", model.Claimed), paused), careful("n2"), store.OpTurnStep, "", "n2 draining"},
		{"paused, going back waits too", asking(reverting("n2"), paused), upgraded("n1", "n2").leading().heard("n3"), "", "", ""},
		{"paused, it can be asked to go back", asking(asking(first(), paused), asked), upgraded("n1", "n2").leading(), store.OpUpgradeRevert, "", "n2"},

		{"S13 nothing is completed while one that was late is on probation", asking(asking(probationOf("n2"), phase(model.Finished)), func(u *model.Upgrade) { done(u, "n1", "n3") }), upgraded("n1", "n1", "n2", "n3").leading().floor("1.1.0"), "", "", ""},

		// The quorum, counted before each grant.
		{"with one down somebody does", five(), ofFive("n2", "n5"), store.OpTurnGrant, "", "n4"},
		{"an observer takes no vote away", asking(five(), func(*model.Upgrade) {}), careful("n1").leading().voting("n1", "n2", "n3").heard("n5"), store.OpTurnGrant, "", "n4"},
		{"at level 0 it is not counted", five(), levelled(ofFive("n5")), store.OpTurnGrant, "", "n4"},

		// Going back, member by member.
		{"all others are asked", reverting("n2"), upgraded("n1", "n2").leading(), "", Survey, "n2"},
		{"then it is its turn", reverting("n2"), upgraded("n1", "n2").leading().heard("n3"), store.OpTurnBack, "", "n2"},
		{"whoever leads goes last", reverting("n1", "n2"), upgraded("n1", "n1", "n2").leading().heard("n3"), store.OpTurnBack, "", "n2"},
		{"the only voter goes itself, back", reverting("n1"), upgraded("n1", "n1").leading().voting("n1").heard("n2", "n3"), store.OpTurnBack, "", "n1"},
		{"who runs its old image is back", reverting("n2"), careful("n1").leading(), store.OpUpgradeCorrect, "", "n2 reverted"},
		{"who is back and runs the new image is not", reverting("n2"), upgraded("n1", "n2", "n3").leading(), store.OpUpgradeCorrect, "", "n3 reverting"},
		{"who could not go back ends it", at(reverting("n3"), model.Broken, "n2"), upgraded("n1", "n2", "n3").leading(), store.OpUpgradeReverted, "", model.BackFailed},
		{"so does nobody that could go in time", reverting("n2"), upgraded("n1", "n2").leading().after(time.Hour), store.OpUpgradeReverted, "", model.BackFailed},
		{"all are back", reverting(), careful("n1").leading(), store.OpUpgradeReverted, "", model.BackDone},
		{"all but who was left out", at(reverting(), model.Excluded, "n3"), careful("n1").leading(), store.OpUpgradeReverted, "", model.BackDone},

		// One member's turn to go back.
		{"it arms", backTurn(reverting(), "n2", model.Returning), upgraded("n2", "n2"), "", Arm, ""},
		{"it is not tried out before", asking(backTurn(reverting(), "n2", model.Returning), func(u *model.Upgrade) { u.Runs = 2 }), upgraded("n2", "n2"), "", Arm, ""},
		{"it claims", backTurn(reverting(), "n2", model.Returning), upgraded("n2", "n2").armed(), store.OpTurnClaim, "", ""},
		{"paused, it is withdrawn", asking(backTurn(reverting(), "n2", model.Returning), paused), upgraded("n1", "n2").leading(), store.OpTurnWithdraw, "", "n2"},
		{"paused, it does not claim", asking(backTurn(reverting(), "n2", model.Returning), paused), upgraded("n2", "n2").armed(), "", "", ""},
		{"it drains", backTurn(reverting(), "n2", model.Claimed), upgraded("n2", "n2"), store.OpTurnStep, "", "n2 draining"},
		{"it swaps", backTurn(reverting(), "n2", model.Leaving), upgraded("n2", "n2"), "", Swap, ""},
		{"elected, it gives the turn back", backTurn(reverting(), "n2", model.Leaving), upgraded("n2", "n2").leading(), store.OpTurnStep, "", "n2 reverting"},
		{"restarted on the new image, it gives it back too", backTurn(reverting(), "n2", model.Leaving), upgraded("n2", "n2").boot("n2-boot9"), store.OpTurnStep, "", "n2 reverting"},
		{"the third time it is given up", asking(backTurn(reverting(), "n2", model.Leaving), func(u *model.Upgrade) { u.Member("n2").Attempt, u.Turn.Attempt = 3, 3 }), upgraded("n2", "n2").boot("n2-boot9"), store.OpTurnStep, "", "n2 failed"},
		{"put back to the new image, it could not go back", backTurn(reverting(), "n2", model.Leaving), upgraded("n2", "n2").boot("n2-boot9").putBack(), store.OpTurnStep, "", "n2 failed"},
		{"a verdict on an attempt before is none", asking(turn(rollout(), "n2", model.Leaving), func(u *model.Upgrade) { u.Member("n2").Attempt, u.Turn.Attempt = 2, 2 }), careful("n2").boot("n2-boot9").putBack(), store.OpTurnStep, "", "n2 waiting"},
		{"nor is one on another upgrade", asking(turn(rollout(), "n2", model.Leaving), func(u *model.Upgrade) { u.ID = "u2" }), careful("n2").boot("n2-boot9").putBack(), store.OpTurnStep, "", "n2 waiting"},
		{"put back going forward, it went back", turn(rollout(), "n2", model.Leaving), careful("n2").boot("n2-boot9").putBack(), store.OpTurnStep, "", "n2 reverted"},
		{"on its old image it is on probation", backTurn(reverting(), "n2", model.Leaving), careful("n1").leading(), store.OpTurnStep, "", "n2 probation"},
		{"well for long enough, it is asked", func() *model.Upgrade {
			u := backTurn(reverting(), "n2", model.Probation)
			u.Member("n2").Boot = "n2-boot1"
			return u
		}(), careful("n1").leading().after(10 * time.Second), "", Ping, "n2"},
		{"it answers, and is back", func() *model.Upgrade {
			u := backTurn(reverting(), "n2", model.Probation)
			u.Member("n2").Boot = "n2-boot1"
			return u
		}(), func() Seen {
			s := careful("n1").leading().after(10 * time.Second)
			s.Pong = &Pong{Member: "n2", Boot: "n2-boot1"}
			return s
		}(), store.OpTurnStep, "", "n2 reverted"},
		{"out for too long it is given up", backTurn(reverting(), "n2", model.Leaving), upgraded("n1", "n2").leading().after(time.Hour), store.OpTurnStep, "", "n2 failed"},
		{"so is one that does not take its turn", backTurn(reverting(), "n2", model.Returning), upgraded("n1", "n2").leading().after(time.Hour), store.OpTurnStep, "", "n2 failed"},
		{"silent in probation it is given up in the end", probationOf("n2"), upgraded("n1", "n2").leading().after(time.Hour + 10*time.Second), store.OpTurnStep, "", "n2 failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Next(c.u, c.s)
			if a.Op != c.op || a.Do != c.do || target(a) != c.to {
				t.Errorf("got op %q, effect %q, %q; want op %q, effect %q, %q", a.Op, a.Do, target(a), c.op, c.do, c.to)
			}
		})
	}
}

// probationOf is a member that runs the target on probation.
func probationOf(id string) *model.Upgrade {
	u := turn(rollout(), id, model.Probation)
	u.Member(id).Boot = id + "-boot2"
	return u
}

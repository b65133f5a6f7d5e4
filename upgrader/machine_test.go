package upgrader

import (
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
func exampleSight() sight {
	u := turn(rollout(), "n2", model.Waiting)
	u.Members[2].Step = model.Done
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

package upgrader

import (
	"fmt"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// What the rows of the tables do: each makes one Action of what is in sight.
// The notes are the lines of the transcript.

func do(e Effect) func(sight) Action {
	return func(v sight) Action {
		a := Action{Do: e}
		switch e {
		case HandOver:
			a.To = v.heir()
		case Survey:
			a.To = v.waiting().ID
		case Ping:
			a.To = v.turn.Member
		}
		return a
	}
}

func move(to model.Phase) func(sight) Action {
	return func(v sight) Action {
		return v.moveTo(to, "", string(to))
	}
}

func (v sight) moveTo(to model.Phase, final, note string) Action {
	return Action{Op: store.OpUpgradeMove, Body: store.UpgradeMove{
		ID: v.u.ID, From: v.u.Phase, To: to, Final: final, Note: note}}
}

// end closes the upgrade, well after verifying and badly anywhere else.
func end(v sight) Action {
	to, final := model.Failed, v.failure()
	if v.u.Phase == model.Verifying && allVerified(v) {
		to, final = model.Finished, "every member "+v.leftOut()+"runs "+v.u.Archive.Version
	}
	return v.moveTo(to, final, string(to)+": "+final)
}

// leftOut says who does not take part.
func (v sight) leftOut() string {
	var names []string
	for _, p := range v.u.Members {
		if !included(p) {
			names = append(names, v.name(p.ID))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "but " + strings.Join(names, ", ") + " "
}

// failure is the one line that says why it failed, members and reasons included.
func (v sight) failure() string {
	var why []string
	for _, p := range v.u.Members {
		switch {
		case p.Step == model.Broken, p.Step == model.Reverted:
			why = append(why, v.name(p.ID)+": "+p.Reason)
		case v.u.Phase == model.Checking && len(p.Findings) > 0:
			why = append(why, v.name(p.ID)+": "+strings.Join(p.Findings, ", "))
		case v.u.Phase == model.Checking && p.Checked != v.u.Runs:
			why = append(why, v.name(p.ID)+": no answer from its trial run within "+span(limit(v.u)))
		case v.u.Phase == model.Verifying && !p.Verified:
			why = append(why, v.name(p.ID)+": not verified within "+span(limit(v.u)))
		}
	}
	if len(why) == 0 && v.waiting() == nil {
		why = append(why, "leadership could not be handed over to an upgraded member within "+span(limit(v.u)))
	}
	if len(why) == 0 {
		for _, id := range v.silent() {
			why = append(why, v.name(id)+": did not answer for "+span(limit(v.u))+", so no other member could go")
		}
	}
	if len(why) == 0 {
		why = append(why, "no member could be given its turn within "+span(limit(v.u)))
	}
	changed := ""
	if v.u.Phase == model.Checking && v.u.Runs == 1 {
		changed = "; nothing was changed"
	}
	return strings.Join(why, "; ") + changed
}

func (v sight) name(id string) string {
	if m, known := v.Members[id]; known && m.Name != "" {
		return m.Name
	}
	return id
}

func clear(v sight) Action {
	return Action{Op: store.OpUpgradeClear, Body: store.UpgradeRef{ID: v.u.ID}}
}

func complete(v sight) Action {
	return Action{Op: store.OpUpgradeComplete, Body: store.UpgradeComplete{
		ID: v.u.ID, Version: v.u.Archive.Version,
		Note: fmt.Sprintf("completed: cluster version %s -> %s", v.Gate, v.u.Archive.Version)}}
}

func skip(v sight) Action {
	id := v.alreadyThere().ID
	return Action{Op: store.OpUpgradeSkip, Body: store.UpgradeMember{
		ID: v.u.ID, Member: id, Note: v.name(id) + ": skipped, it runs " + v.u.Archive.Version + " already"}}
}

func back(v sight) Action {
	return Action{Op: store.OpUpgradeBack, Body: store.UpgradeMember{
		ID: v.u.ID, Member: v.Me, Note: v.name(v.Me) + ": back on " + v.Members[v.Me].Version + ", waits for its turn"}}
}

func grant(v sight) Action {
	p := v.next()
	return Action{Op: store.OpTurnGrant, Body: store.TurnRef{
		ID: v.u.ID, Member: p.ID, Attempt: p.Attempt + 1, Note: fmt.Sprintf("%s: its turn, attempt %d", v.name(p.ID), p.Attempt+1-p.Before)}}
}

func withdraw(v sight) Action {
	return Action{Op: store.OpTurnWithdraw, Body: store.TurnRef{
		ID: v.u.ID, Member: v.turn.Member, Attempt: v.turn.Attempt, Note: v.name(v.turn.Member) + ": turn withdrawn, stop was asked"}}
}

func claim(v sight) Action {
	return Action{Op: store.OpTurnClaim, Body: store.TurnClaim{
		ID: v.u.ID, Member: v.Me, Attempt: v.turn.Attempt, Boot: v.Boot, Note: v.name(v.Me) + ": claimed"}}
}

// step moves the member whose turn it is and keeps the process on record.
func step(to model.Step) func(sight) Action {
	return func(v sight) Action { return v.stepTo(to, v.p.Boot, "", false) }
}

func (v sight) stepTo(to model.Step, boot, reason string, failed bool) Action {
	note := v.name(v.turn.Member) + ": " + string(to)
	if reason != "" {
		note += ": " + reason
	}
	return Action{Op: store.OpTurnStep, Body: store.TurnStep{
		ID: v.u.ID, Member: v.turn.Member, Attempt: v.turn.Attempt, From: v.p.Step, To: to,
		Boot: boot, Reason: reason, Note: note, Failed: failed}}
}

// release gives the turn back before the swap; the next grant is a new attempt.
func release(v sight) Action {
	reason := "restarted before the swap"
	if elected(v) {
		reason = "elected leader after its claim"
	}
	return v.stepTo(model.Waiting, v.Boot, reason, false)
}

func admit(v sight) Action {
	m := v.Members[v.turn.Member]
	return v.stepTo(model.Probation, m.Boot, "runs "+m.Version, false)
}

func revert(v sight) Action {
	return v.stepTo(model.Reverted, v.Boot, v.Verdict.Reason, true)
}

func giveUp(v sight) Action {
	reason := "not back within " + span(limit(v.u))
	switch {
	case unfit(v):
		reason = strings.Join(v.p.Findings, ", ")
	case v.is(holder) && exhausted(v):
		reason = fmt.Sprintf("restarted before the swap in %d attempts", Attempts)
	case v.step == model.Waiting:
		reason = "did not take its turn within " + span(limit(v.u))
	}
	return v.stepTo(model.Broken, v.p.Boot, reason, false)
}

package upgrader

import (
	"fmt"
	"slices"
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
		case StepAside:
			a.To = v.better()
		case Prove:
			a.To = v.first()
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
	if v.u.Phase == model.Migrating || v.u.Phase == model.Verifying && allVerified(v) {
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
	why = append(why, v.Apart...)
	if v.u.Proof != nil {
		why = append(why, v.u.Proof.Findings...)
	}
	for _, p := range v.u.Members {
		switch {
		case p.Step == model.Broken, p.Step == model.Reverted && v.u.Phase != model.Reverting:
			why = append(why, v.name(p.ID)+": "+p.Reason)
		case v.u.Phase == model.Checking && len(p.Findings) > 0:
			why = append(why, v.name(p.ID)+": "+strings.Join(p.Findings, ", "))
		case v.u.Phase == model.Checking && p.Checked != v.u.Runs:
			why = append(why, v.name(p.ID)+": no answer from its trial run within "+span(limit(v.u)))
		case v.u.Phase == model.Verifying && !p.Verified:
			why = append(why, v.name(p.ID)+": not verified within "+span(limit(v.u)))
		}
	}
	if expandFailed(v) {
		why = append(why, v.Job.Action+": "+v.Job.Error)
	}
	if v.u.Phase == model.Checking && allChecked(v) && unbacked(v) {
		why = append(why, "no backup could be made within "+span(limit(v.u))+v.inTheWay())
	}
	if len(why) == 0 && unproven(v) {
		why = append(why, "that "+v.name(v.first())+" works could not be found out within "+span(limit(v.u))+v.inTheWay())
	}
	if len(why) == 0 && v.waiting() == nil {
		why = append(why, "leadership could not be handed over to an upgraded member within "+span(limit(v.u)))
	}
	if len(why) == 0 && v.Answered != nil {
		why = v.missing()
	}
	if len(why) == 0 {
		why = append(why, "no member could be given its turn within "+span(limit(v.u))+v.inTheWay())
	}
	changed := ""
	if v.u.Phase == model.Checking && v.u.Runs == 1 {
		changed = "; nothing was changed"
	}
	return strings.Join(why, "; ") + changed
}

// missing is who did not answer the survey, on which the next member's turn
// depends; with the numbers if those that are left could not write.
func (v sight) missing() (why []string) {
	if short := v.short(); short != "" {
		return []string{short}
	}
	for _, id := range v.silent() {
		why = append(why, v.name(id)+": did not answer for "+span(limit(v.u))+", so no other member could go")
	}
	return why
}

// inTheWay is what is on record of what the present wait stumbles over, to stand
// behind a sentence.
func (v sight) inTheWay() string {
	w := v.u.Wait
	if w.Why == "" || w.For != waitKey(v.u, v.Open) {
		return ""
	}
	return ": " + w.Why
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

// turnBack begins to go back: every member that does not run what it ran before.
func turnBack(v sight) Action {
	note := "going back to " + v.u.From
	if v.u.Rollback != "" {
		note += ", asked by " + v.u.Rollback
	} else {
		note += ": " + v.failure()
	}
	return Action{Op: store.OpUpgradeRevert, Body: store.UpgradeRevert{ID: v.u.ID, From: v.u.Phase, Going: v.ahead(), Note: note}}
}

// ahead are the members that do not run what they ran before the upgrade.
func (v sight) ahead() []string {
	ids := []string{}
	for _, p := range v.u.Members {
		if included(p) && v.Members[p.ID].Image != p.Image {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func endBack(v sight) Action {
	a := store.UpgradeReverted{ID: v.u.ID, Back: model.BackDone, Floor: v.u.From, Final: "rolled back to " + v.u.From}
	if !allBack(v) {
		a.Back, a.Final = model.BackFailed, "going back to "+v.u.From+" failed: "+v.failure()
	}
	a.Note = string(model.Failed) + ": " + a.Final
	return Action{Op: store.OpUpgradeReverted, Body: a}
}

func hold(v sight) Action {
	by := fmt.Sprintf("hold-after %d", v.u.Options.HoldAfter)
	return Action{Op: store.OpUpgradePause, Body: store.UpgradePause{ID: v.u.ID, By: by, Run: v.u.Runs, Note: "paused by " + by}}
}

// correct brings a step on record in line with the image that runs. A member
// that lost its image again and again does not try for ever.
func correct(v sight) Action {
	p, to, reason := v.liar(), model.Waiting, "runs its old image again"
	if slices.Contains(backwards(), v.u.Phase) {
		to, reason = model.Returning, "runs the new image again"
	}
	if p == nil {
		p, to, reason = v.alreadyThere(), model.Reverted, "runs its old image"
	} else if p.Attempt-p.Before >= Attempts {
		to = model.Broken
	}
	return Action{Op: store.OpUpgradeCorrect, Body: store.UpgradeCorrect{ID: v.u.ID, Member: p.ID, From: p.Step, To: to,
		Reason: reason, Note: fmt.Sprintf("%s: %s: %s", v.name(p.ID), to, reason)}}
}

func discredit(v sight) Action {
	const reason = "does not work"
	id := v.u.Proof.Member
	return Action{Op: store.OpUpgradeCorrect, Body: store.UpgradeCorrect{ID: v.u.ID, Member: id, From: model.Done, To: model.Broken,
		Reason: reason, Note: fmt.Sprintf("%s: %s: %s", v.name(id), model.Broken, reason)}}
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

func grantBack(v sight) Action {
	p := v.next()
	return Action{Op: store.OpTurnBack, Body: store.TurnRef{
		ID: v.u.ID, Member: p.ID, Attempt: p.Attempt + 1, Note: v.name(p.ID) + ": its turn to go back"}}
}

func withdraw(v sight) Action {
	return Action{Op: store.OpTurnWithdraw, Body: store.TurnRef{
		ID: v.u.ID, Member: v.turn.Member, Attempt: v.turn.Attempt, Note: v.name(v.turn.Member) + ": turn withdrawn, stop, pause or roll-back was asked"}}
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
	return v.stepTo(yet(v.turn), v.Boot, reason, false)
}

// settle ends a turn well, in its direction.
func settle(v sight) Action {
	to := model.Done
	if v.turn.Back {
		to = model.Reverted
	}
	return v.stepTo(to, v.p.Boot, "", false)
}

func admit(v sight) Action {
	m := v.Members[v.turn.Member]
	return v.stepTo(model.Probation, m.Boot, "runs "+m.Version, false)
}

// revert is the end of a member that was put back to the image it left. Going
// back that is failed; forward it is a verdict on the build.
func revert(v sight) Action {
	if v.turn.Back {
		return v.stepTo(model.Broken, v.Boot, "could not go back: "+v.Verdict.Reason, false)
	}
	return v.stepTo(model.Reverted, v.Boot, v.Verdict.Reason, true)
}

func giveUp(v sight) Action {
	reason := "not back within " + span(limit(v.u))
	switch {
	case unfit(v):
		reason = strings.Join(v.p.Findings, ", ")
	case v.is(holder) && exhausted(v):
		reason = fmt.Sprintf("restarted before the swap in %d attempts", Attempts)
	case v.step == model.Waiting, v.step == model.Returning:
		reason = "did not take its turn within " + span(limit(v.u))
	}
	return v.stepTo(model.Broken, v.p.Boot, reason, false)
}

package upgrader

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// What an upgrade waits for, in words: nothing may stand still without saying so.

// working is the member that is out or about to go, and where it stands.
func working(p picture) (api, state string) {
	up := p.upgrade
	row := turnOf(up)
	if row == nil {
		return "", "between two members"
	}
	m := p.members[row.ID]
	what := map[model.Step]string{
		model.Waiting:   "makes ready to swap its binary",
		model.Returning: "makes ready to go back to its kept binary",
		model.Claimed:   "has claimed its turn",
		model.Draining:  "drains: clients are asked to come back on new connections",
		model.Leaving:   "swaps its binary, restarts and rejoins",
		model.Probation: "runs " + m.Version + " on probation",
	}[row.Step]
	return m.API, fmt.Sprintf("%s %s (attempt %d)", m.Name, what, row.Attempt-row.Before)
}

// What operators may do, as they type it.
const (
	chooseStart    = "theseus system upgrade start: go on where it stopped"
	chooseForce    = "theseus system upgrade start --force: try this build again, which failed before"
	chooseStop     = "theseus system upgrade unstage: ends after the step under way and clears it away"
	choosePause    = "theseus system upgrade pause: the step under way ends, nothing new begins"
	chooseResume   = "theseus system upgrade resume"
	chooseBack     = "theseus system upgrade rollback: every member goes back to its kept binary"
	chooseUnstage  = "theseus system upgrade unstage"
	chooseComplete = "theseus system upgrade complete: the cluster version moves, the way back closes"
)

// waitingFor says what an upgrade under way waits for and what may be done; nil
// is nothing any more.
func waitingFor(p picture) *WaitingFor {
	up := p.upgrade
	var w *WaitingFor
	switch up.Phase {
	case model.Staged:
		w = &WaitingFor{What: "the operator", Since: up.Since, Choices: []string{"theseus system upgrade start", chooseUnstage}}
		if p.cluster.Failed[up.Archive.Digest] != "" {
			w.Choices[0] = chooseForce
		}
	case model.Failed:
		w = failedFor(p)
	case model.Finished:
		w = finishedFor(p)
	default:
		w = workingFor(p)
	}
	if w == nil {
		return nil
	}
	if up.Schedule != nil {
		w.What = scheduleText(up.Schedule, time.Now())
		w.Choices = []string{"wait", "theseus system upgrade cancel: it stays as it is", chooseUnstage}
	}
	if up.Wait.Why != "" && up.Wait.For == waitKey(up, openFor(up.Options)) {
		w.What += "; in the way: " + up.Wait.Why
	}
	switch {
	case up.Stop:
		w.What, w.Choices = "the step under way to end, then all is cleared (stop was asked); now: "+w.What, []string{"wait"}
	case up.Rollback != "":
		w.What = "the step under way to end, then every member goes back (asked by " + up.Rollback + "); now: " + w.What
		w.Choices = []string{"wait", chooseStop}
	}
	if p.cluster.Level == 0 { // see tooEarly
		w.Choices = slices.DeleteFunc(w.Choices, func(c string) bool {
			return c == choosePause || c == chooseResume || c == chooseBack || c == chooseForce
		})
	}
	return w
}

// workingFor is what a run waits for.
func workingFor(p picture) *WaitingFor {
	up := p.upgrade
	w := &WaitingFor{Since: up.Since, Choices: []string{"wait", choosePause, chooseBack, chooseStop}}
	switch up.Phase {
	case model.Checking:
		w.What = "the trial run on " + pending(p, func(r model.Progress) bool { return included(r) && r.Checked != up.Runs }) + atMost(up)
	case model.Migrating:
		migratingFor(p, w)
	case model.Verifying:
		w.What = "a write and a read through " + pending(p, func(r model.Progress) bool { return included(r) && !r.Verified }) + atMost(up)
	case model.Reverting:
		w.What, w.Choices = rollingFor(p), []string{"wait", choosePause, chooseStop}
	default:
		w.What = rollingFor(p)
	}
	row := turnOf(up)
	if row != nil {
		w.Since = row.Since
	}
	if up.Paused != nil && row == nil {
		w.What, w.Since = "the operator: paused by "+up.Paused.By, up.Paused.Since
		w.Choices = []string{chooseResume, chooseBack, chooseStop}
		return w
	}
	if up.Paused != nil {
		w.What += "; then it pauses, asked by " + up.Paused.By
		w.Choices = []string{"wait", chooseResume, chooseBack, chooseStop}
	}
	if up.Phase == model.Checking && up.Job != "" {
		migratingFor(p, w)
		return w
	}
	if up.Phase != model.Migrating && (row != nil || up.Options.Window == "" || openFor(up.Options)) {
		w.Until, w.Then = until(up, row, w.Since)
	}
	return w
}

func atMost(up *model.Upgrade) string { return fmt.Sprintf(", %s at most", span(limit(up))) }

// until is when the present wait ends at the latest, and what happens then. It
// is for people: what decides is how long the wait has lasted for whoever leads.
func until(up *model.Upgrade, row *model.Progress, since string) (at, then string) {
	began, err := time.Parse(time.RFC3339Nano, since)
	if err != nil {
		return "", ""
	}
	if row != nil && row.Step == model.Probation {
		return stampOf(began.Add(up.Options.Probation)), "the member is " + string(settledStep(up.Turn))
	}
	then = "the upgrade fails; it can be started again"
	if up.Options.OnFailure == model.OnFailureRollback && up.Phase == model.Rolling {
		then = "every member goes back"
	}
	return stampOf(began.Add(limit(up))), then
}

func settledStep(t *model.Turn) model.Step {
	if t.Back {
		return model.Reverted
	}
	return model.Done
}

func stampOf(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// failedFor is what one that failed waits for.
func failedFor(p picture) *WaitingFor {
	up := p.upgrade
	w := &WaitingFor{What: "the operator", Since: up.Since, Choices: []string{chooseStart}}
	if p.cluster.Failed[up.Archive.Digest] != "" {
		w.Choices = []string{chooseForce}
	}
	if up.Back != model.BackDone && ranTarget(p) {
		w.Choices = append(w.Choices, chooseBack)
	}
	w.Choices = append(w.Choices, chooseUnstage+", then stage another build")
	if row := turnOf(up); row != nil {
		w.What, w.Since = rollingFor(p), row.Since
	}
	return w
}

// ranTarget says whether a member runs what the archive brought.
func ranTarget(p picture) bool {
	return slices.ContainsFunc(p.upgrade.Members, func(r model.Progress) bool {
		image := p.members[r.ID].Image
		return image != r.Image && image == p.upgrade.Archive.Images[p.members[r.ID].Platform]
	})
}

// finishedFor is what one that finished waits for: nothing, once it is completed.
func finishedFor(p picture) *WaitingFor {
	up := p.upgrade
	late := behindText(p)
	data := unfinished(up, model.Expand, model.Migrate)
	switch {
	case up.Completed && up.Job != "":
		w := &WaitingFor{Since: up.Since, Choices: []string{"wait"}}
		migratingFor(p, w)
		return w
	case up.Completed:
		return nil
	case up.Paused != nil && len(data) > 0:
		return &WaitingFor{What: "the operator: paused by " + up.Paused.By + "; then for " + dataText(p, data), Since: up.Paused.Since, Choices: []string{chooseResume, chooseBack}}
	case late == "" && up.Turn == nil && len(data) > 0:
		w := &WaitingFor{Since: up.Since, Choices: []string{"wait", chooseBack}}
		migratingFor(p, w)
		return w
	case late == "" && up.Options.Mode == model.ModeBackground:
		return &WaitingFor{What: "the operator: the data is migrated, completion is to be asked for", Since: up.Since, Choices: []string{chooseComplete, chooseBack}}
	case up.Paused != nil:
		return &WaitingFor{What: "the operator: completion is paused by " + up.Paused.By, Since: up.Paused.Since, Choices: []string{chooseResume, chooseComplete, chooseBack}}
	case late == "" && up.Options.Hold:
		return &WaitingFor{What: "the operator: completion is on hold", Since: up.Since, Choices: []string{chooseComplete, chooseBack}}
	}
	what := late + " on " + up.Archive.Version
	if late == "" && up.Turn != nil {
		what = rollingFor(p)
	}
	w := &WaitingFor{What: "completion: " + what, Since: up.Since, Choices: []string{
		"start what is down: it follows by itself", "theseus system ha remove NAME"}}
	if len(data) == 0 { // which is migrated when all are there
		w.Choices = append(w.Choices, "theseus system upgrade complete --without NAME: the way back closes, it follows when it is back")
	}
	w.Choices = append(w.Choices, chooseBack)
	return w
}

// behindText names the members that do not run the target.
func behindText(p picture) string {
	var all []string
	for _, m := range p.members {
		if m.Image != p.upgrade.Archive.Images[m.Platform] {
			all = append(all, m.Name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func rollingFor(p picture) string {
	up := p.upgrade
	row := turnOf(up)
	switch {
	case row == nil && up.Phase == model.Rolling && up.Options.Window != "":
		return windowText(up.Options.Window, time.Now()) + ", then every other member to be up"
	case row == nil:
		return "every other member to be up before the next one goes, or leadership to move to one that is " + string(through(up))
	}
	name := p.members[row.ID].Name
	if row.Step == model.Probation {
		return fmt.Sprintf("%s to stay well for %s", name, span(up.Options.Probation))
	}
	version := up.Archive.Version
	if up.Turn.Back {
		version = row.From
	}
	return fmt.Sprintf("%s to be back on %s, %s at most", name, version, span(up.Options.Deadline))
}

// through is the step that members end in.
func through(up *model.Upgrade) model.Step {
	if up.Phase == model.Reverting {
		return model.Reverted
	}
	return model.Done
}

func pending(p picture, is func(model.Progress) bool) string {
	var names []string
	for _, row := range p.upgrade.Members {
		if is(row) {
			names = append(names, p.members[row.ID].Name)
		}
	}
	return strings.Join(names, ", ")
}

// migratingFor is what waits for a migration.
func migratingFor(p picture, w *WaitingFor) {
	up := p.upgrade
	names, back := unfinished(up, model.Expand, model.Migrate), []string{chooseBack}
	if up.Completed {
		names, back = unfinished(up, model.Contract, model.Task), nil
	}
	choices := func(all ...string) []string { return append(all, back...) }
	w.What = dataText(p, names)
	switch j := p.job; {
	case j != nil && j.State == model.JobFailed:
		w.What, w.Since = "the operator: "+w.What, j.Ended
		w.Choices = choices("theseus jobs log "+j.ID, "theseus jobs run "+j.Action+": it is tried again where it stopped")
	case j != nil && j.Migration.Paused != "":
		w.What, w.Choices = "the operator: "+w.What, choices("theseus jobs resume "+j.ID)
	case j != nil && up.Phase == model.Finished:
		w.Choices = choices("wait", "theseus jobs pause "+j.ID, "theseus jobs pace "+j.ID+" --rate N")
	case j == nil && up.Again >= Attempts && len(names) > 0:
		w.What = "the operator: the final check found data left over again and again: " + w.What
		w.Choices = choices("theseus system upgrade history", "theseus jobs run "+names[0])
	}
}

// dataText says which data is yet to be migrated, and how far that is.
func dataText(p picture, names []string) string {
	var all []string
	for _, name := range names {
		all = append(all, name+" "+jobText(p.job, name))
	}
	return "the data: " + strings.Join(all, ", ")
}

func jobText(j *model.Job, name string) string {
	if j == nil || j.Action != name {
		return "has yet to run"
	}
	how := ""
	if j.Total > 0 {
		how = fmt.Sprintf(", %d of %d (%d %%)", j.Done, j.Total, j.Done*100/j.Total)
	}
	switch {
	case j.State == model.JobFailed:
		return fmt.Sprintf("failed %d times and waits for a person%s: %s", j.Failures, how, j.Error)
	case j.Migration.Paused != "":
		return "is paused by " + j.Migration.Paused + how
	case j.Failures > 0:
		return fmt.Sprintf("runs, attempt %d%s", j.Failures+1, how)
	}
	return "runs" + how
}

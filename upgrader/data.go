package upgrader

import (
	"fmt"
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// When the migrations that a package brings are due: what the rows of the machine
// ask about the data, and the one thing that they do about it. One runs at a time.

// nextMigration is the first migration of these phases that has yet to run.
func (v sight) nextMigration(phases ...model.MigrationPhase) string {
	if called(v) || v.turn != nil || v.u.Job != "" || v.u.Again >= Attempts {
		return ""
	}
	if left := unfinished(v.u, phases...); len(left) > 0 {
		return left[0]
	}
	return ""
}

// due is the migration that is to run now, or "".
func (v sight) due() string {
	switch {
	case v.u.Phase == model.Checking:
		return v.nextMigration(model.Expand)
	case v.u.Completed:
		return v.nextMigration(model.Contract, model.Task)
	}
	return v.nextMigration(model.Expand, model.Migrate)
}

func expandDue(v sight) bool   { return allChecked(v) && !unbacked(v) && v.due() != "" }
func migrateDue(v sight) bool  { return !v.u.Completed && v.everyoneThere() && v.due() != "" }
func contractDue(v sight) bool { return v.u.Completed && v.due() != "" }

// expandFailed: nothing has changed yet but the data, which the version before
// can use as it is.
func expandFailed(v sight) bool {
	return v.u.Phase == model.Checking && v.Job != nil && v.Job.State == model.JobFailed
}

// dataFirst: the upgrade is not finished before its data is migrated. With a member
// left out that waits until it is back.
func dataFirst(v sight) bool {
	return allVerified(v) && v.everyoneAt() && v.u.Options.Mode != model.ModeBackground && len(unfinished(v.u, model.Migrate)) > 0
}

func allMigrated(v sight) bool {
	return v.turn == nil && v.u.Job == "" && len(unfinished(v.u, model.Expand, model.Migrate)) == 0
}

// completableData: what was migrated is looked at before the way back closes.
func completableData(v sight) bool {
	return completable(v) && slices.ContainsFunc(v.u.Archive.Migrations, func(m model.Migration) bool { return m.Phase == model.Migrate })
}

// ripe says whether a migration may run now, again even.
func (v sight) ripe(m model.Migration) bool {
	if called(v) || v.turn != nil {
		return false
	}
	switch m.Phase {
	case model.Migrate:
		return !v.u.Completed && v.u.Phase == model.Finished && v.everyoneThere()
	case model.Contract, model.Task:
		return v.u.Completed
	}
	return false
}

// migration has the job made that runs the migration that is due.
func migration(v sight) Action {
	return Action{Op: store.OpJobMigrate, Body: v.job(v.due())}
}

// job is what makes the job of a migration.
func (v sight) job(name string) store.JobMigrate {
	m := v.u.Archive.Migration(name)
	background := v.u.Options.Mode == model.ModeBackground
	return store.JobMigrate{
		Upgrade: v.u.ID, Action: name, By: byItself, Reason: "the upgrade to " + v.u.Archive.Version,
		Holds: m.Phase == model.Migrate && !background, Gentle: background, Rate: v.u.Options.Throttle,
		Note: fmt.Sprintf("%s: begins, phase %s", name, m.Phase)}
}

// unsettled says whether the data of an upgrade is between two versions: it was
// migrated or is to be, and the upgrade is not completed.
func unsettled(u *model.Upgrade) bool {
	return u.Phase == model.Finished && !u.Completed && slices.ContainsFunc(u.Archive.Migrations, func(m model.Migration) bool {
		return m.Phase == model.Expand || m.Phase == model.Migrate
	})
}

// owes says whether a migration of an upgrade may have to run yet.
func owes(u *model.Upgrade) bool {
	return unsettled(u) || u.Completed && len(unfinished(u, model.Contract, model.Task)) > 0
}

// inBetween refuses what cannot be while the data of an upgrade is between two
// versions.
func inBetween(p picture, up *model.Upgrade, what string) error {
	why := "has migrated data and is not completed"
	if names := unfinished(up, model.Expand, model.Migrate); len(names) > 0 {
		why = "waits for " + dataText(p, names)
	}
	return model.Problemf(model.Conflict, "the upgrade to %s %s; complete it before %s: `theseus system upgrade progress` shows how far it is", up.Archive.Version, why, what)
}

func isMigrated(u *model.Upgrade, name string) bool { return slices.Contains(u.Migrated, name) }

func hasPhase(m model.Migration, phases []model.MigrationPhase) bool {
	return slices.Contains(phases, m.Phase)
}

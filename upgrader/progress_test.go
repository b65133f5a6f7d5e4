package upgrader

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const toForm, toIndex, toTidy = "item-form", "item-index", "item-tidy"

// bringing is an upgrade in a phase that brings a migration for each time there
// is, of which some are done.
func bringing(phase model.Phase, done ...string) *model.Upgrade {
	return &model.Upgrade{ID: "u", Phase: phase, Migrated: done, Archive: model.Archive{Version: "1.1.0", Migrations: []model.Migration{
		{Name: toForm, Phase: model.Migrate}, {Name: toIndex, Phase: model.Migrate}, {Name: toTidy, Phase: model.Contract}}}}
}

// jobAt is the job of a migration, in a state, that has come so far; its attempt began
// at 100, ten seconds before it last said so.
func jobAt(name string, state model.JobState, done, total int64) model.Job {
	return model.Job{ID: "j-" + name, Action: name, State: state, Done: done, Total: total, Migration: &model.JobMigration{
		Upgrade: "u", From: 100, Began: "2026-11-21T10:00:00Z", Told: "2026-11-21T10:00:10Z"}}
}

func failedOnce(j model.Job) model.Job {
	j.Attempts, j.Error = 1, "no such table"
	return j
}

func paused(j model.Job) model.Job {
	j.Migration.Paused = "admin"
	return j
}

func withHold(j model.Job) model.Job {
	j.Migration.Holds = true
	return j
}

func with(up *model.Upgrade, change func(*model.Upgrade)) *model.Upgrade {
	change(up)
	return up
}

func TestHowFarTheDataIs(t *testing.T) {
	background := func(up *model.Upgrade) { up.Options.Mode = model.ModeBackground }
	completed := func(up *model.Upgrade) { up.Completed = true }
	halt := func(up *model.Upgrade) { up.Paused = &model.Pause{By: "admin"} }
	for _, one := range []struct {
		name  string
		up    *model.Upgrade
		jobs  []model.Job
		state string
		count model.MigrationCount
		what  string
	}{
		{"no upgrade", nil, nil, "none", model.MigrationCount{Percent: 100}, "no upgrade"},
		{"no migrations", &model.Upgrade{Archive: model.Archive{Version: "1.1.0"}}, nil, "none", model.MigrationCount{Percent: 100}, "brings no migrations"},
		{"staged", bringing(model.Staged), nil, "waiting", model.MigrationCount{ETA: -1}, "`theseus system upgrade start`"},
		{"rolling", bringing(model.Rolling), nil, "waiting", model.MigrationCount{ETA: -1}, "item-form runs by itself when every member runs"},
		{"at work", bringing(model.Migrating), []model.Job{withHold(jobAt(toForm, model.JobRunning, 600, 1000))}, "running",
			model.MigrationCount{Done: 600, Percent: 30, Rate: 50, ETA: -1}, "600 of 1000 items, 60 %, about 8s left; until it is done nobody else writes"},
		{"at work again", bringing(model.Migrating), []model.Job{failedOnce(jobAt(toForm, model.JobRunning, 600, 1000))}, "running",
			model.MigrationCount{Done: 600, Percent: 30, Rate: 50, ETA: -1}, "attempts that failed: 1, the last one: no such table"},
		{"it has not said how much", bringing(model.Migrating), []model.Job{jobAt(toForm, model.JobRunning, 0, 0)}, "running", model.MigrationCount{ETA: -1}, "has not said"},
		{"nothing since it began", bringing(model.Migrating), []model.Job{jobAt(toForm, model.JobRunning, 100, 1000)}, "running",
			model.MigrationCount{Done: 100, Percent: 5, ETA: -1}, "100 of 1000 items, 10 %"},
		{"all but done", bringing(model.Migrating), []model.Job{jobAt(toForm, model.JobRunning, 1000, 1000)}, "running",
			model.MigrationCount{Done: 1000, Percent: 49, Rate: 90, ETA: -1}, "1000 of 1000 items, 99 %"},
		{"the second", bringing(model.Migrating, toForm), []model.Job{jobAt(toForm, model.JobDone, 1000, 1000), jobAt(toIndex, model.JobRunning, 200, 300)}, "running",
			model.MigrationCount{Done: 1200, Total: 1300, Percent: 83, Rate: 10, ETA: 10}, "item-index is at work: 200 of 300 items, 66 %, about 10s left"},
		{"tried again soon", bringing(model.Finished), []model.Job{failedOnce(jobAt(toForm, model.JobWaiting, 600, 1000))}, "waiting",
			model.MigrationCount{Done: 600, Percent: 30, ETA: -1}, "item-form failed (no such table) and is tried again by itself"},
		{"failed", bringing(model.Finished), []model.Job{failedOnce(jobAt(toForm, model.JobFailed, 600, 1000))}, "failed",
			model.MigrationCount{Done: 600, Percent: 30, ETA: -1}, "(no such table): put right what it says, then `theseus jobs run item-form`, and it goes on"},
		{"failed before anything went", bringing(model.Failed), []model.Job{failedOnce(jobAt(toForm, model.JobFailed, 0, 0))}, "failed",
			model.MigrationCount{ETA: -1}, "then `theseus system upgrade start`"},
		{"paused", bringing(model.Finished), []model.Job{paused(jobAt(toForm, model.JobRunning, 600, 1000))}, "paused",
			model.MigrationCount{Done: 600, Percent: 30, ETA: -1}, "paused by admin: `theseus jobs resume j-item-form`"},
		{"paused with the upgrade", with(bringing(model.Finished), halt), []model.Job{jobAt(toForm, model.JobRunning, 600, 1000)}, "paused",
			model.MigrationCount{Done: 600, Percent: 30, ETA: -1}, "the upgrade is paused by admin: `theseus system upgrade resume`"},
		{"canceled", bringing(model.Finished), []model.Job{jobAt(toForm, model.JobCanceled, 600, 1000)}, "waiting", model.MigrationCount{ETA: -1}, "runs by itself"},
		{"of an upgrade before", with(bringing(model.Finished), func(up *model.Upgrade) { up.ID = "other" }),
			[]model.Job{jobAt(toForm, model.JobRunning, 600, 1000)}, "waiting", model.MigrationCount{ETA: -1}, "runs by itself"},
		{"left over again and again", with(bringing(model.Finished, toIndex), func(up *model.Upgrade) { up.Again = Attempts }),
			[]model.Job{jobAt(toForm, model.JobDone, 1000, 1000)}, "failed", model.MigrationCount{Percent: 50, ETA: -1}, "left over 3 times): put right what it says, then `theseus jobs run item-form`"},
		{"gone back", with(bringing(model.Failed), func(up *model.Upgrade) { up.Back = model.BackDone }),
			[]model.Job{jobAt(toForm, model.JobCanceled, 600, 1000)}, "waiting", model.MigrationCount{ETA: -1}, "went back"},
		{"a task alone, staged", with(bringing(model.Staged), func(up *model.Upgrade) { up.Archive.Migrations = up.Archive.Migrations[2:] }), nil, "waiting",
			model.MigrationCount{Percent: 100}, "has not begun"},
		{"a task alone, gone back", with(bringing(model.Failed), func(up *model.Upgrade) { up.Back, up.Archive.Migrations = model.BackDone, up.Archive.Migrations[2:] }), nil, "waiting",
			model.MigrationCount{ETA: -1}, "went back"},
		{"done in mode complete", bringing(model.Finished, toForm, toIndex), nil, "done", model.MigrationCount{Percent: 100}, "completes by itself"},
		{"done in mode background", with(bringing(model.Finished, toForm, toIndex), background), nil, "done", model.MigrationCount{Percent: 100}, "`theseus system upgrade complete`"},
		{"completed, with more to do", with(bringing(model.Finished, toForm, toIndex), completed), nil, "waiting", model.MigrationCount{Percent: 66, ETA: -1}, "item-tidy runs by itself, next"},
		{"all of it", with(bringing(model.Finished, toForm, toIndex, toTidy), completed), nil, "completed", model.MigrationCount{Percent: 100}, "is completed"},
	} {
		r := reportOn(one.up, one.jobs)
		if r.State != one.state || !strings.Contains(r.What, one.what) || r.Migrations == nil {
			t.Errorf("%s: %s, %q", one.name, r.State, r.What)
		}
		if diff := cmp.Diff(one.count, r.MigrationCount); diff != "" {
			t.Errorf("%s: %s", one.name, diff)
		}
	}
}

// carrying has the staged upgrade bring migrations, and be at a phase.
func (c *fleet) carrying(phase model.Phase) {
	c.t.Helper()
	up := bringing(phase)
	up.ID = "m"
	c.done(store.OpUpgradeClear, store.UpgradeRef{ID: stagedID})
	c.done(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: up.ID, Archive: up.Archive}})
	c.done(store.OpStageCommit, store.StageCommit{ID: up.ID, Upgrade: *up})
}

// run has n1 make a migration's job and take it.
func (c *fleet) run(name string) (id string) {
	c.t.Helper()
	c.done(store.OpJobMigrate, store.JobMigrate{Upgrade: "m", Action: name})
	id = c.look("n1").upgrade.Job
	c.done(store.OpJobTake, store.JobTake{ID: id, Runner: "n1", Boot: "b"})
	c.done(store.OpJobProgress, store.JobProgress{ID: id, Epoch: 1, Done: 3, Total: 7, Checkpoint: "c"})
	return id
}

func TestTheTrackingProfileShowsTheMigrationsOfAnUpgradeThatHasSome(t *testing.T) {
	c := newFleet(t, "", "n1")
	u := c.members["n1"].up
	status := func() map[string]any {
		t.Helper()
		p, err := u.Status()
		c.do(err)
		return p.Params
	}
	if _, there := status()["migration"]; there {
		t.Error("there are none, and it shows some")
	}
	c.carrying(model.Finished)
	id := c.run(toForm)
	r, is := status()["migration"].(model.MigrationReport)
	if !is || r.State != "running" || r.Migrations[0].Done != 3 || r.Migrations[0].Percent != 42 || r.Percent != 21 {
		t.Errorf("it shows %+v", r)
	}
	c.done(store.OpJobEnd, store.JobEnd{ID: id, Epoch: 1, To: model.JobDone})
	got, err := u.Progress()
	c.do(err)
	if first := got.Migrations[0]; first.State != "done" || first.Percent != 100 || first.Done != 3 || got.State != "waiting" {
		t.Errorf("done it is %+v", got)
	}
}

func TestTheLastUpgradesMigrationsAreShownWhileTheyAreNotDone(t *testing.T) {
	staged, begun := &model.Upgrade{Phase: model.Staged}, &model.Upgrade{Phase: model.Checking}
	left, done := with(bringing(model.Finished), func(up *model.Upgrade) { up.Completed = true }), bringing(model.Finished, toForm, toIndex, toTidy)
	for _, one := range []struct {
		name string
		p    picture
		want *model.Upgrade
	}{
		{"nothing", picture{}, nil},
		{"the last one", picture{release: done}, done},
		{"staged", picture{upgrade: staged}, staged},
		{"staged after one that is done", picture{upgrade: staged, release: done}, staged},
		{"staged after one that is not", picture{upgrade: staged, release: left}, left},
		{"begun after one that is not", picture{upgrade: begun, release: left}, begun},
	} {
		if got := one.p.data(); got != one.want {
			t.Errorf("%s: %+v", one.name, got)
		}
	}
}

func TestWhatIsOffTellsWhichMigrationsItWaitsFor(t *testing.T) {
	up := bringing(model.Finished, toIndex)
	r := reportOn(up, []model.Job{jobAt(toForm, model.JobRunning, 600, 1000)})
	const want = "; completion waits for the migration of the data: item-form (running, 60 %)"
	if got := waitsForData(picture{upgrade: up}, r); got != want {
		t.Errorf("told %q", got)
	}
	for name, up := range map[string]*model.Upgrade{"staged": bringing(model.Staged), "completed": with(bringing(model.Finished), func(up *model.Upgrade) { up.Completed = true }),
		"done": bringing(model.Finished, toForm, toIndex), "none": nil} {
		if got := waitsForData(picture{upgrade: up}, reportOn(up, nil)); got != "" {
			t.Errorf("%s: told %q", name, got)
		}
	}
}

// before is what preflight says of the upgrade before, when the next one is staged.
func (c *fleet) before(up *model.Upgrade) (found []model.Finding) {
	c.t.Helper()
	r := &round{Upgrader: c.members["n1"].up, picture: picture{release: up, upgrade: &model.Upgrade{ID: "next", Archive: model.Archive{Version: "1.2.0"}}}}
	for _, look := range []func() ([]model.Finding, error){r.pending, r.leftover} {
		some, err := look()
		c.do(err)
		found = append(found, some...)
	}
	return found
}

func TestThePendingFindingNamesWhatIsNotMigrated(t *testing.T) {
	c := newFleet(t, "", "n1")
	c.carrying(model.Finished)
	c.run(toForm)
	up := c.look("n1").upgrade
	completed := func(up *model.Upgrade) { up.Completed = true }
	for _, one := range []struct {
		name     string
		up       *model.Upgrade
		severity model.Severity
		want     string
	}{
		{"at work", up, model.Hard, "the upgrade to 1.1.0 is not completed, and its data is not migrated: item-form (running, 42 %), item-index (waiting, 0 %)"},
		{"waits for a person", with(bringing(model.Finished, toForm, toIndex), func(up *model.Upgrade) { up.Options.Mode = model.ModeBackground }), model.Hard, "is not completed (the cluster is at , the limit is 1.1.0): `theseus system upgrade complete`"},
		{"more to do after it", with(bringing(model.Finished, toForm, toIndex), completed), model.Soft, "has yet to do with the data: item-tidy (waiting, 0 %): item-tidy runs by itself, next"},
		{"all done", with(bringing(model.Finished, toForm, toIndex, toTidy), completed), "", ""},
	} {
		found := c.before(one.up)
		if len(found) == 0 && one.want == "" {
			continue
		}
		if len(found) != 1 || found[0].Severity != one.severity || !strings.Contains(found[0].String(), one.want) {
			t.Errorf("%s: found %q", one.name, found)
		}
	}
}

package store

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// migrating is an upgrade "u" in its phase migrating, whose package brings two
// migrations, and a profile of one parameter.
func migrating(t *testing.T) *commands {
	t.Helper()
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: Level}, Admin: model.User{Name: "admin"}})
	c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "data", Params: map[string]any{"k": 1}}})
	archive := model.Archive{Digest: "u", Version: "1.1.0", Migrations: []model.Migration{
		{Name: "first", Phase: model.Migrate, Images: map[string]string{}}, {Name: "second", Phase: model.Migrate, Images: map[string]string{}}}}
	c.must(OpStageAnnounce, StageAnnounce{Staging: model.Staging{ID: "u", Archive: archive}})
	c.must(OpStageCommit, StageCommit{ID: "u", Upgrade: model.Upgrade{ID: "u", Archive: archive, Phase: model.Staged}})
	c.must(OpUpgradeRun, UpgradeStart{ID: "u"})
	for _, m := range []UpgradeMove{{From: model.Checking, To: model.Rolling}, {From: model.Rolling, To: model.Verifying}, {From: model.Verifying, To: model.Migrating}} {
		m.ID = "u"
		c.must(OpUpgradeMove, m)
	}
	return c
}

func (c *commands) params(profile string) map[string]any {
	c.t.Helper()
	var p model.Profile
	err := c.View(func(v *View) (err error) {
		p, err = v.Profile(profile)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return p.Params
}

func (c *commands) answers(want error, op Op, body any) {
	c.t.Helper()
	if err := c.do(op, body); !errors.Is(err, want) {
		c.t.Errorf("%s %+v: %v, want %v", op, body, err, want)
	}
}

// begin has a migration begin, and answers its job.
func (c *commands) begin(name string, holds bool) string {
	c.t.Helper()
	c.must(OpJobMigrate, JobMigrate{Upgrade: "u", Action: name, By: "admin", Holds: holds})
	return MigrationJob(name, c.next-1)
}

func setOne(profile, key string, value any) (Op, ParamSet) {
	return OpParamSet, ParamSet{Profile: profile, Key: key, Value: value}
}

func TestAMigrationHoldsTheWritesOfOthersWhileItIsAtWork(t *testing.T) {
	c := migrating(t)
	op, write := setOne("data", "k", 2)
	c.must(op, write)
	job := c.begin("first", true)
	held := func(want error) {
		t.Helper()
		c.answers(want, op, write)
		c.answers(want, OpParamsChange, ParamsChange{})
	}
	held(ErrHeld)
	c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
	held(ErrHeld)
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 1, To: model.JobWaiting, Error: "not yet"})
	held(ErrHeld) // it is tried again
	c.must(OpJobPace, JobPace{ID: job, Paused: "admin"})
	held(nil)
	c.must(OpUpgradePause, UpgradePause{ID: "u", By: "admin"})
	c.must(OpJobPace, JobPace{ID: job})
	held(nil) // it is paused with its upgrade
	c.must(OpUpgradeResume, UpgradeRef{ID: "u"})
	held(ErrHeld)
	c.must(OpJobTake, JobTake{ID: job, Epoch: 1, Runner: "n1"})
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 2, To: model.JobFailed, Error: "never"})
	held(nil) // it waits for a person, who may take their time
	c.must(OpJobTrigger, JobAsk{ID: job})
	held(ErrHeld)
	c.must(OpJobTake, JobTake{ID: job, Epoch: 2, Runner: "n1"})
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 3, To: model.JobDone})
	held(nil)
	if u := c.upgrade(); u.Job != "" || !cmp.Equal(u.Migrated, []string{"first"}) {
		t.Errorf("the upgrade has job %q, migrated %q", u.Job, u.Migrated)
	}
	c.begin("second", false)
	held(nil)
}

func TestS29AMigrationWritesOnlyWhileItsAttemptIsOnRecord(t *testing.T) {
	c := migrating(t)
	job := c.begin("first", true)
	write := func(epoch int, value string) JobWrite {
		return JobWrite{ID: job, Epoch: epoch, Op: OpParamSet, Body: json.RawMessage(`{"profile":"data","key":"k","value":"` + value + `"}`)}
	}
	c.answers(ErrStale, OpJobWrite, write(0, "too early"))
	c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
	c.must(OpJobWrite, write(1, "one"))
	c.must(OpJobTake, JobTake{ID: job, Epoch: 1, Runner: "n2"})
	c.answers(ErrStale, OpJobWrite, write(1, "the runner before"))
	c.must(OpJobWrite, write(2, "two"))
	c.answers(ErrNotFound, OpJobWrite, JobWrite{ID: job, Epoch: 2, Op: OpParamSet, Body: json.RawMessage(`{"profile":"none","key":"k","value":1}`)})
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 2, To: model.JobDone})
	c.answers(ErrStale, OpJobWrite, write(2, "too late"))
	if got := c.params("data")["k"]; got != "two" {
		t.Errorf("the parameter is %v", got)
	}
}

func TestOneMigrationRunsAtATimeAndOnce(t *testing.T) {
	c := migrating(t)
	ask := func(name string) JobMigrate { return JobMigrate{Upgrade: "u", Action: name} }
	c.answers(ErrConflict, OpJobMigrate, ask("third"))
	job := c.begin("first", false)
	c.answers(ErrConflict, OpJobMigrate, ask("second"))
	c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 1, To: model.JobDone})
	c.answers(ErrConflict, OpJobMigrate, ask("first"))
	again := ask("first")
	again.Again = true
	c.must(OpJobMigrate, again)
	if u := c.upgrade(); u.Job == "" || len(u.Migrated) != 0 {
		t.Errorf("run again, the upgrade has job %q, migrated %q", u.Job, u.Migrated)
	}
}

func TestAnUpgradeIsNotCompletedBeforeItsDataIsMigrated(t *testing.T) {
	c := migrating(t)
	c.must(OpUpgradeMove, UpgradeMove{ID: "u", From: model.Migrating, To: model.Finished})
	done := UpgradeComplete{ID: "u", Version: "1.1.0"}
	for _, name := range []string{"first", "second"} {
		c.answers(ErrConflict, OpUpgradeComplete, done)
		job := c.begin(name, false)
		c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
		c.must(OpJobEnd, JobEnd{ID: job, Epoch: 1, To: model.JobDone})
	}
	c.must(OpUpgradeRemigrate, UpgradeRemigrate{ID: "u", Names: []string{"first"}})
	c.answers(ErrConflict, OpUpgradeComplete, done)
	job := c.begin("first", false)
	c.answers(ErrConflict, OpUpgradeRemigrate, UpgradeRemigrate{ID: "u", Names: []string{"second"}})
	c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
	c.must(OpJobEnd, JobEnd{ID: job, Epoch: 1, To: model.JobDone})
	c.must(OpUpgradeComplete, done)
	c.answers(ErrConflict, OpUpgradeRemigrate, UpgradeRemigrate{ID: "u", Names: []string{"second"}})
}

func TestGoingBackOrStoppingEndsAMigration(t *testing.T) {
	back := func(c *commands) {
		c.must(OpUpgradeRollback, UpgradeRollback{ID: "u", By: "admin"})
		c.must(OpUpgradeRevert, UpgradeRevert{ID: "u", From: model.Migrating})
	}
	stop := func(c *commands) {
		c.must(OpUpgradeStop, UpgradeRef{ID: "u"})
		c.must(OpUpgradeClear, UpgradeRef{ID: "u"})
	}
	for name, end := range map[string]func(*commands){"going back": back, "stopping": stop} {
		t.Run(name, func(t *testing.T) {
			c := migrating(t)
			first := c.begin("first", false)
			c.must(OpJobTake, JobTake{ID: first, Runner: "n1"})
			c.must(OpJobEnd, JobEnd{ID: first, Epoch: 1, To: model.JobDone})
			job := c.begin("second", true)
			c.must(OpJobTake, JobTake{ID: job, Runner: "n1"})
			end(c)
			if j := c.job(job); j.State != model.JobCanceled {
				t.Errorf("the job is %+v", j)
			}
			c.answers(ErrStale, OpJobWrite, JobWrite{ID: job, Epoch: 1, Op: OpParamSet, Body: json.RawMessage(`{"profile":"data","key":"k","value":1}`)})
			op, write := setOne("data", "k", 3)
			c.must(op, write)
			if u := atHand(t, c); u != nil && (u.Job != "" || len(u.Migrated) != 0) {
				t.Errorf("the upgrade has job %q, migrated %q", u.Job, u.Migrated)
			}
		})
	}
}

// atHand is the upgrade on record, or nil.
func atHand(t *testing.T, c *commands) (u *model.Upgrade) {
	t.Helper()
	err := c.View(func(v *View) (err error) {
		u, err = v.Upgrade()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAMigrationIsPausedAndPaced(t *testing.T) {
	c := migrating(t)
	job := c.begin("first", true)
	c.must(OpJobPace, JobPace{ID: job, Rate: 500, Paused: "admin", Note: "paused by admin"})
	if m := c.job(job).Migration; m.Rate != 500 || m.Paused != "admin" || !m.Holds {
		t.Errorf("the migration is %+v", m)
	}
	c.must(OpJobMake, JobMake{ID: "other", Action: "verify"})
	c.answers(ErrConflict, OpJobPace, JobPace{ID: "other"})
	c.must(OpJobCancel, JobAsk{ID: job})
	c.answers(ErrConflict, OpJobPace, JobPace{ID: job})
}

func TestABatchOfChangesIsAppliedWholeOrNotAtAll(t *testing.T) {
	c := migrating(t)
	c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "other"}})
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	set := ParamChange{Profile: "data", Key: "k", Was: raw("1"), Now: raw(`{"n":1.50}`)}
	for name, wrong := range map[string]ParamChange{
		"another value":       {Profile: "data", Key: "k", Was: raw("2"), Now: raw("3")},
		"there already":       {Profile: "data", Key: "k", Now: raw("3")},
		"not there":           {Profile: "other", Key: "k", Was: raw("null"), Now: raw("3")},
		"another way to say":  {Profile: "data", Key: "k", Was: raw("1.0"), Now: raw("3")},
		"changed in the same": {Profile: "data", Key: "k", Was: raw("1"), Now: raw("3")},
	} {
		batch := ParamsChange{Changes: []ParamChange{{Profile: "other", Key: "new", Now: raw("null")}, wrong}}
		if name == "changed in the same" {
			batch.Changes[0] = set
		}
		if err := c.do(OpParamsChange, batch); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(map[string]any{"k": json.Number("1")}, c.params("data")); diff != "" || len(c.params("other")) != 0 {
			t.Fatalf("%s: it was refused and changed something: %s %v", name, diff, c.params("other"))
		}
	}
	c.answers(ErrNotFound, OpParamsChange, ParamsChange{Changes: []ParamChange{set, {Profile: "none", Key: "k", Now: raw("1")}}})

	c.must(OpParamsChange, ParamsChange{Changes: []ParamChange{set, {Profile: "other", Key: "new", Now: raw("null")}}})
	c.must(OpParamsChange, ParamsChange{Changes: []ParamChange{{Profile: "other", Key: "new", Was: raw("null")}}})
	want := map[string]any{"k": map[string]any{"n": json.Number("1.50")}}
	if diff := cmp.Diff(want, c.params("data")); diff != "" || len(c.params("other")) != 0 {
		t.Errorf("%s %v", diff, c.params("other"))
	}
}

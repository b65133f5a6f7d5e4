package upgrader

import (
	"context"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// atWork is a migration whose job is on record, paced as asked, and its pace as of
// a second ago.
func atWork(t *testing.T, ask store.JobMigrate) (c *fleet, id string, p *pace) {
	t.Helper()
	c = newFleet(t, "", "n1")
	archive := model.Archive{Digest: "cd", Version: "1.1.0", Migrations: []model.Migration{{Name: "m", Phase: model.Migrate, Images: map[string]string{}}}}
	c.done(store.OpUpgradeClear, store.UpgradeRef{ID: stagedID})
	c.done(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "data", Archive: archive}})
	c.done(store.OpStageCommit, store.StageCommit{ID: "data", Upgrade: model.Upgrade{ID: "data", Archive: archive, Phase: model.Staged}})
	ask.Upgrade, ask.Action = "data", "m"
	c.done(store.OpJobMigrate, ask)
	u := c.members["n1"].up
	seen, err := u.look()
	if err != nil || seen.job == nil {
		t.Fatalf("there is the job %v: %v", seen.job, err)
	}
	p = newPace(u.Store, *seen.job)
	p.since = p.since.Add(-time.Second)
	return c, seen.job.ID, p
}

func TestAMigrationRestsAsItsJobSays(t *testing.T) {
	for name, one := range map[string]struct {
		ask   store.JobMigrate
		moved int64
		least time.Duration
		most  time.Duration
	}{
		"as fast as it goes":              {store.JobMigrate{}, 1000, -time.Hour, 0},
		"as long as it works":             {store.JobMigrate{Gentle: true}, 1000, time.Nanosecond, time.Second},
		"so many a second":                {store.JobMigrate{Rate: 10}, 100, time.Second, 9 * time.Second},
		"so many a second, and gently":    {store.JobMigrate{Rate: 10, Gentle: true}, 100, time.Second, 9 * time.Second},
		"fewer than so many a second":     {store.JobMigrate{Rate: 1000}, 1, -time.Hour, 0},
		"fewer than that, though gently ": {store.JobMigrate{Rate: 1000, Gentle: true}, 1, -time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, p := atWork(t, one.ask)
			if rest, err := p.rest(time.Second, one.moved); err != nil || rest < one.least || rest > one.most {
				t.Errorf("after a second of work it rests for %s: %v", rest, err)
			}
		})
	}
}

func TestAPausedMigrationGoesOnWhenItIsResumed(t *testing.T) {
	c, id, p := atWork(t, store.JobMigrate{})
	c.done(store.OpJobPace, store.JobPace{ID: id, Paused: "admin"})
	if rest, err := p.rest(time.Second, 1); err != nil || rest < time.Hour {
		t.Fatalf("paused, it rests for %s: %v", rest, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	went := make(chan error, 1)
	go func() { went <- p.wait(ctx, 1) }()
	c.done(store.OpJobPace, store.JobPace{ID: id})
	if err := <-went; err != nil {
		t.Error(err)
	}
}

func TestNothingIsCollectedWhileDataMoves(t *testing.T) {
	job := func(state model.JobState, phase model.MigrationPhase) picture {
		return picture{job: &model.Job{State: state, Migration: &model.JobMigration{Phase: phase}}}
	}
	for _, one := range []struct {
		p    picture
		want bool
	}{
		{picture{}, false},
		{job(model.JobWaiting, model.Expand), true},
		{job(model.JobRunning, model.Migrate), true},
		{job(model.JobRunning, model.Contract), true},
		{job(model.JobFailed, model.Migrate), false},
		{job(model.JobRunning, model.Task), false},
	} {
		if got := one.p.migrates(); got != one.want {
			t.Errorf("%+v: %t", one.p.job, got)
		}
	}
}

package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Trigger has an action done: a job of it that waits for a person is tried again
// where it stopped, and otherwise a new one is made. It may be called on any member.
func (r *Runner) Trigger(ctx context.Context, action, by, reason string) (j model.Job, made bool, err error) {
	if err := r.Cluster.ReadIndex(ctx); err != nil {
		return j, false, err
	}
	last, err := r.unended(action)
	switch {
	case err != nil:
		return j, false, err
	case last != nil && last.State == model.JobFailed:
		err = r.propose(ctx, store.OpJobTrigger, store.JobAsk{ID: last.ID, Note: "triggered by " + by})
		return r.answer(last.ID, false, err)
	case last != nil:
		return j, false, atWork(*last)
	}
	if _, known := r.Actions[action]; !known {
		return r.carried(ctx, action, by, reason)
	}
	id := strings.ToLower(rand.Text())
	err = r.propose(ctx, store.OpJobMake, store.JobMake{ID: id, Action: action, By: by, Reason: reason})
	return r.answer(id, true, err)
}

// carried has a migration run that a package has brought.
func (r *Runner) carried(ctx context.Context, action, by, reason string) (j model.Job, made bool, err error) {
	c, known, err := r.Carried(action)
	if err != nil {
		return j, false, err
	}
	if !known {
		return j, false, model.Problemf(model.Refused, "action: there is no %q; there is %s, and what the package of the last upgrade brought", action, strings.Join(slices.Sorted(maps.Keys(r.Actions)), ", "))
	}
	c.By, c.Reason, c.Note = by, reason, action+": begins, asked for by "+by
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	a, err := r.Cluster.Propose(ctx, store.New(store.OpJobMigrate, c))
	if err == nil {
		err = a.Err()
	}
	return r.answer(store.MigrationJob(action, a.Index), true, err)
}

// Pace has the migration of a job do so many items a second at most; 0 is no limit.
// It may be called on any member, as Pause and Resume may.
func (r *Runner) Pace(ctx context.Context, id, by string, rate int64) (model.Job, error) {
	if rate < 0 {
		return model.Job{}, model.Problemf(model.Malformed, "rate: %d is below 0; it is items a second, and 0 is no limit", rate)
	}
	return r.pace(ctx, id, func(c *store.JobPace) {
		c.Rate, c.Note = rate, fmt.Sprintf("%d items a second at most, said by %s", rate, by)
		if rate == 0 {
			c.Note = "as fast as it goes, said by " + by
		}
	})
}

// Pause has the migration of a job wait at its next checkpoint.
func (r *Runner) Pause(ctx context.Context, id, by string) (model.Job, error) {
	return r.pace(ctx, id, func(c *store.JobPace) { c.Paused, c.Note = by, "paused by "+by })
}

// Resume has the migration of a job go on.
func (r *Runner) Resume(ctx context.Context, id, by string) (model.Job, error) {
	return r.pace(ctx, id, func(c *store.JobPace) { c.Paused, c.Note = "", "resumed by "+by })
}

func (r *Runner) pace(ctx context.Context, id string, change func(*store.JobPace)) (model.Job, error) {
	if err := r.Cluster.ReadIndex(ctx); err != nil {
		return model.Job{}, err
	}
	j, err := r.Job(id)
	switch {
	case err != nil:
		return j, err
	case j.Migration == nil:
		return j, model.Problemf(model.Conflict, "%s is no migration: it cannot be paused or slowed down", j.Action).About("jobs", id)
	case j.State.Over():
		return j, model.Problemf(model.Conflict, "it is %s", j.State).About("jobs", id)
	}
	c := store.JobPace{ID: id, Rate: j.Migration.Rate, Paused: j.Migration.Paused}
	change(&c)
	if c.Rate == j.Migration.Rate && c.Paused == j.Migration.Paused {
		return j, nil
	}
	err = r.propose(ctx, store.OpJobPace, c)
	j, _, err = r.answer(id, false, err)
	return j, err
}

// unended is the job of an action that is not over, or nil.
func (r *Runner) unended(action string) (*model.Job, error) {
	all, err := r.jobs()
	i := slices.IndexFunc(all, func(j model.Job) bool { return j.Action == action && !j.State.Over() })
	if i < 0 || err != nil {
		return nil, err
	}
	return &all[i], nil
}

func atWork(j model.Job) error {
	return model.Problemf(model.Conflict, "%s is %s already: `theseus jobs log %s --follow` shows how it goes on", j.Action, j.State, j.ID).About("jobs", j.ID)
}

// answer is a job as it is on record after a change of it.
func (r *Runner) answer(id string, made bool, err error) (j model.Job, _ bool, _ error) {
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrExists) {
		return j, false, model.Problemf(model.Conflict, "somebody was faster: `theseus jobs list` shows what is at work").About("jobs", id)
	}
	if err == nil {
		j, err = r.Job(id)
	}
	return j, made, err
}

// Cancel ends a job for good: its runner stops, and what it did stays done.
func (r *Runner) Cancel(ctx context.Context, id, by string) (model.Job, error) {
	j, err := r.Job(id)
	if err != nil {
		return j, err
	}
	if j.Migration != nil && !j.State.Over() {
		return j, model.Problemf(model.Conflict, "%s is a migration of an upgrade, which needs it: pause it with `theseus jobs pause %s`, or go back with `theseus system upgrade rollback`", j.Action, id).About("jobs", id)
	}
	err = r.propose(ctx, store.OpJobCancel, store.JobAsk{ID: id, Note: "canceled by " + by})
	if errors.Is(err, store.ErrConflict) {
		return j, model.Problemf(model.Conflict, "it is over: there is nothing to cancel").About("jobs", id)
	}
	if err != nil {
		return j, err
	}
	return r.Job(id)
}

// Job is one job by id.
func (r *Runner) Job(id string) (j model.Job, err error) {
	err = r.Store.View(func(v *store.View) error {
		j, err = v.Job(id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = model.Problemf(model.NotFound, "Not Found").About("jobs", id)
	}
	return j, err
}

// Jobs are all jobs on record, the newest first.
func (r *Runner) Jobs() ([]model.Job, error) {
	all, err := r.jobs()
	slices.Reverse(all)
	return all, err
}

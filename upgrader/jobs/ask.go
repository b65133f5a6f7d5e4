package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Trigger has an action done: a job of it that waits for a person is tried again
// where it stopped, and otherwise a new one is made. It may be called on any member.
func (r *Runner) Trigger(ctx context.Context, action, by, reason string) (j model.Job, made bool, err error) {
	if _, known := r.Actions[action]; !known {
		return j, false, model.Problemf(model.Refused, "action: there is no %q; there is %s", action, strings.Join(slices.Sorted(maps.Keys(r.Actions)), ", "))
	}
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
	id := strings.ToLower(rand.Text())
	err = r.propose(ctx, store.OpJobMake, store.JobMake{ID: id, Action: action, By: by, Reason: reason})
	return r.answer(id, true, err)
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

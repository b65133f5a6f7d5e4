package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func (c *commands) job(id string) (j model.Job) {
	c.t.Helper()
	err := c.View(func(v *View) (err error) {
		j, err = v.Job(id)
		return err
	})
	if err != nil {
		c.t.Fatalf("job %s: %v", id, err)
	}
	return j
}

// stale expects that a command about a job is refused and changes nothing.
func (c *commands) stale(id string, op Op, body any) {
	c.t.Helper()
	before := c.job(id)
	if err := c.do(op, body); !errors.Is(err, ErrConflict) {
		c.t.Errorf("%s: %v, want a conflict", op, err)
	}
	if diff := cmp.Diff(before, c.job(id)); diff != "" {
		c.t.Errorf("%s was refused and changed something: %s", op, diff)
	}
}

func TestS29WhatAnEarlierRunnerSaysIsRefused(t *testing.T) {
	c := newCommands(t)
	c.must(OpJobMake, JobMake{ID: "j", Action: "a", By: "admin"})
	c.stale("j", OpJobProgress, JobProgress{ID: "j", Checkpoint: "1"})
	c.must(OpJobTake, JobTake{ID: "j", Runner: "n1"})
	c.must(OpJobProgress, JobProgress{ID: "j", Epoch: 1, Done: 5, Total: 9, Checkpoint: "5"})
	c.stale("j", OpJobTake, JobTake{ID: "j", Runner: "n3"}) // it looked before n1 took it
	c.must(OpJobTake, JobTake{ID: "j", Epoch: 1, Runner: "n2"})

	c.stale("j", OpJobProgress, JobProgress{ID: "j", Epoch: 1, Done: 6, Checkpoint: "6"})
	c.stale("j", OpJobEnd, JobEnd{ID: "j", Epoch: 1, To: model.JobDone})

	if j := c.job("j"); j.Checkpoint != "5" || j.Runner != "n2" || j.State != model.JobRunning {
		t.Errorf("the job is %+v", j)
	}
	c.must(OpJobEnd, JobEnd{ID: "j", Epoch: 2, To: model.JobDone})
	c.stale("j", OpJobEnd, JobEnd{ID: "j", Epoch: 2, To: model.JobFailed, Error: "late"})
	c.stale("j", OpJobTake, JobTake{ID: "j", Epoch: 2})
	c.stale("j", OpJobCancel, JobAsk{ID: "j"})
}

func TestAJobThatFailsKeepsItsCheckpointAndWaits(t *testing.T) {
	c := newCommands(t)
	c.must(OpJobMake, JobMake{ID: "j", Action: "a"})
	for n := range 3 {
		c.must(OpJobTake, JobTake{ID: "j", Epoch: n, Runner: "n1"})
		c.must(OpJobProgress, JobProgress{ID: "j", Epoch: n + 1, Checkpoint: fmt.Sprint(n)})
		to := model.JobWaiting
		if n == 2 {
			to = model.JobFailed
		}
		c.must(OpJobEnd, JobEnd{ID: "j", Epoch: n + 1, To: to, Error: "broken"})
	}
	c.stale("j", OpJobTake, JobTake{ID: "j", Epoch: 3})
	if j := c.job("j"); j.Failures != 3 || j.Error != "broken" || j.Checkpoint != "2" {
		t.Errorf("the job is %+v", j)
	}
	c.must(OpJobTrigger, JobAsk{ID: "j"})
	c.stale("j", OpJobTrigger, JobAsk{ID: "j"})
	if j := c.job("j"); j.State != model.JobWaiting || j.Failures != 0 || j.Attempts != 3 || j.Checkpoint != "2" {
		t.Errorf("triggered it is %+v", j)
	}
}

func TestOfAnActionThereIsOneJobAtATime(t *testing.T) {
	c := newCommands(t)
	c.must(OpJobMake, JobMake{ID: "1", Action: "a"})
	for _, state := range []model.JobState{model.JobWaiting, model.JobRunning, model.JobFailed} {
		if err := c.do(OpJobMake, JobMake{ID: "2", Action: "a"}); !errors.Is(err, ErrExists) {
			t.Errorf("made another while one is %s: %v", state, err)
		}
		switch state {
		case model.JobWaiting:
			c.must(OpJobTake, JobTake{ID: "1"})
		case model.JobRunning:
			c.must(OpJobEnd, JobEnd{ID: "1", Epoch: 1, To: model.JobFailed, Error: "broken"})
		}
	}
	c.must(OpJobMake, JobMake{ID: "other", Action: "b"})
	c.must(OpJobCancel, JobAsk{ID: "1"})
	c.must(OpJobMake, JobMake{ID: "2", Action: "a"})
}

func TestJobsOnRecordAndTheirLogsAreBounded(t *testing.T) {
	c := newCommands(t)
	c.must(OpJobMake, JobMake{ID: "kept", Action: "other"})
	for n := range jobsKept + 10 {
		c.must(OpJobMake, JobMake{ID: fmt.Sprint(n), Action: "a"})
		c.must(OpJobCancel, JobAsk{ID: fmt.Sprint(n)})
	}
	c.must(OpJobTake, JobTake{ID: "kept"})
	c.must(OpJobProgress, JobProgress{ID: "kept", Epoch: 1, Lines: make([]string, 2*jobLines)})
	c.must(OpJobProgress, JobProgress{ID: "kept", Epoch: 1, Lines: []string{strings.Repeat("ä", 2*jobLine)}})
	var all []model.Job
	if err := c.View(func(v *View) (err error) { all, err = v.Jobs(); return err }); err != nil {
		t.Fatal(err)
	}
	if len(all) != jobsKept+1 || all[0].ID != "kept" || all[1].ID != "10" {
		t.Errorf("%d jobs, the first are %s and %s", len(all), all[0].ID, all[1].ID)
	}
	if log := all[0].Log; len(log) != jobLines || len(log[jobLines-1]) > 2*jobLine {
		t.Errorf("%d lines, the last of %d bytes", len(log), len(log[len(log)-1]))
	}
}

package store

import (
	"cmp"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

const (
	// jobsKept is how many jobs that are over stay on record: the oldest go first.
	jobsKept = 50
	// jobLines is how many lines of its log a job keeps, and jobLine the bytes of one.
	jobLines = 500
	jobLine  = 1000
)

// JobMake adds a job. There is one of an action at a time: while another is not
// over it is answered with ErrExists.
type JobMake struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// JobTake gives a job to a runner, if nobody took it since the epoch before.
type JobTake struct {
	ID     string `json:"id"`
	Epoch  int    `json:"epoch"` // before
	Runner string `json:"runner"`
	Boot   string `json:"boot"`
	Note   string `json:"note"`
}

// JobProgress is what the runner of one epoch has done so far.
type JobProgress struct {
	ID         string   `json:"id"`
	Epoch      int      `json:"epoch"`
	Done       int64    `json:"done"`
	Total      int64    `json:"total"`
	Checkpoint string   `json:"checkpoint"`
	Lines      []string `json:"lines"`
}

// JobEnd ends an attempt of one epoch; with an error it failed, and To says
// whether there is another.
type JobEnd struct {
	ID    string         `json:"id"`
	Epoch int            `json:"epoch"`
	To    model.JobState `json:"to"`
	Error string         `json:"error"`
	Note  string         `json:"note"`
}

// JobAsk is what a person wants of a job.
type JobAsk struct {
	ID   string `json:"id"`
	Note string `json:"note"`
}

func jobOps() map[Op]op {
	return map[Op]op{
		OpJobMake:     atLevel(1, makeJob, JobMake{ID: "sample", Action: "sample"}),
		OpJobTake:     atLevel(1, takeJob, JobTake{ID: "sample"}),
		OpJobProgress: atLevel(1, progressJob, JobProgress{ID: "sample"}),
		OpJobEnd:      atLevel(1, endJob, JobEnd{ID: "sample"}),
		OpJobTrigger:  atLevel(1, triggerJob, JobAsk{ID: "sample"}),
		OpJobCancel:   atLevel(1, cancelJob, JobAsk{ID: "sample"}),
	}
}

func makeJob(e entry, c JobMake) error {
	all, err := jobsIn(e.tx)
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.ID == c.ID || j.Action == c.Action && !j.State.Over() {
			return ErrExists
		}
	}
	if err := forgetJobs(e, all); err != nil {
		return err
	}
	return put(e.tx, bucketJobs, []byte(c.ID), model.Job{
		ID: c.ID, Number: e.index, Action: c.Action, State: model.JobWaiting, By: c.By, Reason: c.Reason, Made: e.at})
}

// forgetJobs leaves room for one more; all is in their order.
func forgetJobs(e entry, all []model.Job) error {
	over := slices.DeleteFunc(all, func(j model.Job) bool { return !j.State.Over() })
	for i := 0; i <= len(over)-jobsKept; i++ {
		if err := e.tx.Bucket(bucketJobs).Delete([]byte(over[i].ID)); err != nil {
			return err
		}
	}
	return nil
}

func takeJob(e entry, c JobTake) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.Epoch != c.Epoch || j.State != model.JobWaiting && j.State != model.JobRunning {
			return ErrConflict
		}
		j.Epoch++
		j.State, j.Runner, j.Boot, j.Ended = model.JobRunning, c.Runner, c.Boot, ""
		if j.Started == "" {
			j.Started = e.at
		}
		if m := j.Migration; m != nil {
			m.Began, m.From, m.Told = e.at, j.Done, e.at
		}
		tellJob(e, j, c.Note)
		return nil
	})
}

func progressJob(e entry, c JobProgress) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.Epoch != c.Epoch || j.State != model.JobRunning {
			return ErrConflict
		}
		j.Done, j.Total, j.Checkpoint = c.Done, c.Total, c.Checkpoint
		if j.Migration != nil {
			j.Migration.Told = e.at
		}
		tellJob(e, j, c.Lines...)
		return nil
	})
}

func endJob(e entry, c JobEnd) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.Epoch != c.Epoch || j.State != model.JobRunning {
			return ErrConflict
		}
		j.State, j.Error, j.Ended = c.To, c.Error, e.at
		if c.Error != "" {
			j.Attempts++
			j.Failures++
		}
		tellJob(e, j, c.Note)
		return nil
	})
}

// triggerJob has a job that waits for a person tried again, where it stopped.
func triggerJob(e entry, c JobAsk) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.State != model.JobFailed {
			return ErrConflict
		}
		j.State, j.Failures = model.JobWaiting, 0
		tellJob(e, j, c.Note)
		return nil
	})
}

// cancelJob ends a job. Its runner is refused from here on.
func cancelJob(e entry, c JobAsk) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.State.Over() {
			return ErrConflict
		}
		j.State, j.Ended = model.JobCanceled, e.at
		tellJob(e, j, c.Note)
		return nil
	})
}

func changeJob(e entry, id string, change func(*model.Job) error) error {
	j, err := must[model.Job](e.tx, bucketJobs, []byte(id))
	if err != nil {
		return err
	}
	if err := change(&j); err != nil {
		return err
	}
	if err := put(e.tx, bucketJobs, []byte(id), j); err != nil {
		return err
	}
	return migrationMoved(e, &j)
}

// tellJob adds lines to a job's log; what is too long is cut, and the oldest go.
func tellJob(e entry, j *model.Job, lines ...string) {
	for _, line := range lines {
		if len(line) > jobLine {
			line = strings.ToValidUTF8(line[:jobLine], "") + "..."
		}
		j.Log = append(j.Log, e.at+" "+line)
	}
	if surplus := len(j.Log) - jobLines; surplus > 0 {
		j.Log = j.Log[surplus:]
	}
}

func jobsIn(tx *bolt.Tx) ([]model.Job, error) {
	all, err := list[model.Job](tx, bucketJobs)
	slices.SortFunc(all, func(a, b model.Job) int { return cmp.Compare(a.Number, b.Number) })
	return all, err
}

// Jobs are all jobs on record, the oldest first.
func (v *View) Jobs() ([]model.Job, error) { return jobsIn(v.tx) }

// Job is one job by id, or ErrNotFound.
func (v *View) Job(id string) (model.Job, error) {
	return must[model.Job](v.tx, bucketJobs, []byte(id))
}

package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
)

// Jobs is what the API asks of the cluster's jobs.
type Jobs interface {
	Jobs() ([]model.Job, error)
	Job(id string) (model.Job, error)
	Trigger(ctx context.Context, action, by, reason string) (j model.Job, made bool, err error)
	Cancel(ctx context.Context, id, by string) (model.Job, error)
	Pause(ctx context.Context, id, by string) (model.Job, error)
	Resume(ctx context.Context, id, by string) (model.Job, error)
	// Pace says how many items a second a job may do at most; 0: no limit.
	Pace(ctx context.Context, id, by string, rate int64) (model.Job, error)
}

// jobRequest asks for an action to be done.
type jobRequest struct {
	Action string `json:"action"`
}

func (a *API) listJobs(h http.Header, _ *http.Request) (int, any, error) {
	all, err := a.Jobs.Jobs()
	if err != nil {
		return 0, nil, err
	}
	for i := range all {
		all[i].Log = nil // of one at a time: it may be long
	}
	h.Set("X-DRP-LIST-FILTER-COUNT", strconv.Itoa(len(all)))
	h.Set("X-DRP-LIST-TOTAL-COUNT", strconv.Itoa(len(all)))
	return http.StatusOK, all, nil
}

func (a *API) getJob(_ http.Header, r *http.Request) (int, any, error) {
	j, err := a.Jobs.Job(chi.URLParam(r, "id"))
	return http.StatusOK, j, err
}

// makeJob has an action done: 201 is a new job, 202 one that goes on.
func (a *API) makeJob(_ http.Header, r *http.Request) (int, any, error) {
	j, made, err := a.triggerJob(r)
	if made {
		return http.StatusCreated, j, err
	}
	return http.StatusAccepted, j, err
}

func (a *API) triggerJob(r *http.Request) (model.Job, bool, error) {
	var q jobRequest
	if err := readStrict(r, &q); err != nil {
		return model.Job{}, false, err
	}
	if q.Action == "" {
		return model.Job{}, false, model.Problemf(model.Malformed, `action: it is missing: send {"action": "NAME"}`)
	}
	by := visitOf(r).user
	return a.Jobs.Trigger(r.Context(), q.Action, by, "asked for by "+by)
}

func (a *API) cancelJob(_ http.Header, r *http.Request) (int, any, error) {
	j, err := a.Jobs.Cancel(r.Context(), chi.URLParam(r, "id"), visitOf(r).user)
	return http.StatusOK, j, err
}

// pauseJob has the migration of a job rest after the step under way.
func (a *API) pauseJob(_ http.Header, r *http.Request) (int, any, error) {
	j, err := a.Jobs.Pause(r.Context(), chi.URLParam(r, "id"), visitOf(r).user)
	return http.StatusOK, j, err
}

func (a *API) resumeJob(_ http.Header, r *http.Request) (int, any, error) {
	j, err := a.Jobs.Resume(r.Context(), chi.URLParam(r, "id"), visitOf(r).user)
	return http.StatusOK, j, err
}

// paceRequest says how fast a job may go.
type paceRequest struct {
	Rate *int64 `json:"rate"`
}

func (a *API) paceJob(_ http.Header, r *http.Request) (int, any, error) {
	var q paceRequest
	if err := readStrict(r, &q); err != nil {
		return 0, nil, err
	}
	if q.Rate == nil || *q.Rate < 0 {
		return 0, nil, model.Problemf(model.Malformed, `rate: want the items a second that it may do at most, as in {"rate": 500}; 0 is no limit`)
	}
	j, err := a.Jobs.Pace(r.Context(), chi.URLParam(r, "id"), visitOf(r).user, *q.Rate)
	return http.StatusOK, j, err
}

// jobLog answers with the lines of a job's log as text; with follow=true it goes
// on with those that come until the job ends or waits for a person.
func (a *API) jobLog(_ http.Header, r *http.Request) (int, any, error) {
	id := chi.URLParam(r, "id")
	j, err := a.Jobs.Job(id)
	if err != nil {
		return 0, nil, err
	}
	follow := r.URL.Query().Get("follow")
	switch yes, err := strconv.ParseBool(follow); {
	case follow != "" && err != nil:
		return 0, nil, model.Problemf(model.Malformed, "follow=%q: want true or false", follow)
	case yes:
		return http.StatusOK, stream{kind: textKind, next: a.jobLines(id)}, nil
	}
	var text bytes.Buffer
	for _, line := range j.Log {
		fmt.Fprintln(&text, line)
	}
	return http.StatusOK, page{kind: textKind, data: text.Bytes()}, nil
}

// jobLines are the lines of a job's log as they come.
func (a *API) jobLines(id string) func(context.Context) ([]byte, bool, error) {
	last := ""
	return func(ctx context.Context) ([]byte, bool, error) {
		for {
			changed := a.Store.Changed()
			j, err := a.Jobs.Job(id)
			if err != nil {
				return nil, false, err
			}
			fresh := after(j.Log, last)
			over := j.State.Over() || j.State == model.JobFailed
			if len(fresh) > 0 || over {
				var text bytes.Buffer
				for _, line := range fresh {
					fmt.Fprintln(&text, line)
					last = line
				}
				return text.Bytes(), !over, nil
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return nil, false, ctx.Err()
			}
		}
	}
}

// after are the lines behind the one that was seen last; all if it is gone, as
// the oldest go. Each begins with the time of its entry.
func after(lines []string, last string) []string {
	for i := len(lines) - 1; i >= 0 && last != ""; i-- {
		if lines[i] == last {
			return lines[i+1:]
		}
	}
	return lines
}

// registryJob is a job as Docker Trusted Registry shows it below /api/v0.
type registryJob struct {
	ID           string `json:"id"`
	RetryFailed  bool   `json:"retryFailed"`
	WorkerID     string `json:"workerID"`
	Status       string `json:"status"`
	ScheduledAt  string `json:"scheduledAt"`
	LastUpdated  string `json:"lastUpdated"`
	Action       string `json:"action"`
	RetriesLeft  int    `json:"retriesLeft"`
	RetriesTotal int    `json:"retriesTotal"`
}

const registryRetries = 2 // as Docker Trusted Registry retries

func registry(j model.Job) registryJob {
	status := map[model.JobState]string{model.JobFailed: "errored"}[j.State]
	if status == "" {
		status = string(j.State)
	}
	updated := j.Ended
	if updated == "" {
		updated = max(j.Started, j.Made)
	}
	return registryJob{ID: j.ID, RetryFailed: true, WorkerID: j.Runner, Status: status, ScheduledAt: j.Made,
		LastUpdated: updated, Action: j.Action, RetriesLeft: max(0, registryRetries-j.Failures), RetriesTotal: registryRetries}
}

// makeRegistryJob is Docker Trusted Registry's POST /api/v0/jobs.
func (a *API) makeRegistryJob(_ http.Header, r *http.Request) (int, any, error) {
	j, _, err := a.triggerJob(r)
	return http.StatusAccepted, registry(j), err
}

func (a *API) listRegistryJobs(http.Header, *http.Request) (int, any, error) {
	all, err := a.Jobs.Jobs()
	jobs := []registryJob{}
	for _, j := range all {
		jobs = append(jobs, registry(j))
	}
	return http.StatusOK, map[string][]registryJob{"jobs": jobs}, err
}

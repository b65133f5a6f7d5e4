// Package jobs runs the cluster's jobs: work that is done once, whoever leads.
// The record of a job is its only memory. The leader runs what is to be run and
// writes down how far it came; when it dies or leaves, the next one takes the job
// over from there, and what the earlier runner still says is refused (S29). What a
// job does is handed in as an Action; this package must never know what that is.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Tries is how often a job is tried before it waits for a person, as in Docker
// Trusted Registry: once, and twice again.
const Tries = 3

const (
	idle     = time.Second            // between looks when nothing changes
	breath   = 100 * time.Millisecond // before looking again after something went wrong
	actLimit = 10 * time.Second       // for one proposal
)

// Cluster is what the runner asks of the member's place in the cluster.
type Cluster interface {
	// Propose commits a command and returns when it is applied here. The same
	// command, proposed again, is answered again and not applied again.
	Propose(ctx context.Context, c store.Command) (store.Answer, error)
	// ReadIndex returns when the local store is as new as the cluster was at the call.
	ReadIndex(ctx context.Context) error
	Leading() bool
	Leadership() <-chan struct{}
}

// Action does a job, from its checkpoint on. It may be called again for the same
// job, here or on another member, and must return soon after ctx is over.
type Action func(ctx context.Context, a *Attempt) error

// Config is what a Runner is made of.
type Config struct {
	Store   *store.Store
	Cluster Cluster
	Self    model.Member
	Actions map[string]Action
	// Migrate does the jobs of migrations, and Carried says how the job of one is made
	// that is asked for by name; it is not known when nothing on record brought it.
	Migrate Action
	Carried func(action string) (c store.JobMigrate, known bool, err error)
	// Backoff is how long to wait after so many failures; nil is the function of that name.
	Backoff func(failures int) time.Duration
	Log     *slog.Logger
}

// Backoff is 2 s after the first failure and 10 s after the second.
func Backoff(failures int) time.Duration {
	if failures < 2 {
		return 2 * time.Second
	}
	return 10 * time.Second
}

// Runner runs jobs while its member leads.
type Runner struct {
	Config

	// Owned by Run's goroutine.
	attempts map[string]*attempt
	due      map[string]pause
	trouble  string // what went wrong last, so that it is logged once

	wait sync.WaitGroup
}

// attempt is one that this process makes.
type attempt struct {
	epoch int
	end   context.CancelFunc
	ended chan struct{} // closed when the action has returned and nothing is left to say
}

// pause is how long a job waits after a failure.
type pause struct {
	failures int
	until    time.Time
}

// New makes a Runner. Run it.
func New(c Config) *Runner {
	if c.Backoff == nil {
		c.Backoff = Backoff
	}
	return &Runner{Config: c, attempts: map[string]*attempt{}, due: map[string]pause{}}
}

// Run runs jobs until ctx is over, and returns when every action has returned.
func (r *Runner) Run(ctx context.Context) error {
	defer r.wait.Wait()
	for ctx.Err() == nil {
		changed, led := r.Store.Changed(), r.Cluster.Leadership()
		nap, err := r.pass(ctx)
		if err != nil && ctx.Err() == nil {
			r.warn(err)
			nap = breath
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-led:
		case <-time.After(nap):
		}
	}
	return ctx.Err()
}

// warn logs what went wrong, once as long as it stays the same.
func (r *Runner) warn(err error) {
	if err.Error() != r.trouble {
		r.trouble = err.Error()
		r.Log.Warn("run the jobs on record", "error", err)
	}
}

// pass ends what is not this member's any more and begins what is to be run. It
// answers how long nothing needs to be looked at unless the record changes.
func (r *Runner) pass(ctx context.Context) (nap time.Duration, err error) {
	r.forgetEnded() // before the record is read: what they said at their end is in it then
	var all []model.Job
	leading := r.Cluster.Leading()
	if leading {
		if all, err = r.jobs(); err != nil {
			return 0, err
		}
	}
	r.endStale(all)
	nap = idle
	for _, j := range all {
		action := r.action(j)
		if action == nil || r.attempts[j.ID] != nil || j.State != model.JobWaiting && j.State != model.JobRunning {
			continue // one of a later version waits for a leader that knows it
		}
		if left := r.left(j); left > 0 {
			nap = min(nap, left)
			continue
		}
		if err := r.begin(ctx, j, action); err != nil {
			return 0, err
		}
	}
	return nap, nil
}

// action is what does a job; nil: this version cannot.
func (r *Runner) action(j model.Job) Action {
	if j.Migration != nil {
		return r.Migrate
	}
	return r.Actions[j.Action]
}

func (r *Runner) jobs() (all []model.Job, err error) {
	err = r.Store.View(func(v *store.View) error {
		all, err = v.Jobs()
		return err
	})
	return all, err
}

// forgetEnded forgets the attempts that have ended.
func (r *Runner) forgetEnded() {
	maps.DeleteFunc(r.attempts, func(_ string, a *attempt) bool {
		select {
		case <-a.ended:
			return true
		default:
			return false
		}
	})
}

// endStale has attempts end that the record does not speak of any more.
func (r *Runner) endStale(all []model.Job) {
	stands := map[string]int{}
	for _, j := range all {
		if j.State == model.JobRunning && j.Boot == r.Self.Boot {
			stands[j.ID] = j.Epoch
		}
	}
	for id, a := range r.attempts {
		if stands[id] != a.epoch {
			a.end()
		}
	}
}

// left is how much longer a job waits after its last failure. It is measured by
// whoever leads: a new leader begins to wait anew.
func (r *Runner) left(j model.Job) time.Duration {
	if j.State != model.JobWaiting || j.Failures == 0 {
		return 0
	}
	p, known := r.due[j.ID]
	if !known || p.failures != j.Failures {
		p = pause{failures: j.Failures, until: time.Now().Add(r.Backoff(j.Failures))}
		r.due[j.ID] = p
	}
	return time.Until(p.until)
}

// begin takes a job and has its action do it. An earlier runner is refused from
// here on, and not before: how far the job is, is read after it is taken.
func (r *Runner) begin(ctx context.Context, j model.Job, action Action) error {
	note := fmt.Sprintf("%s begins", r.Self.Name)
	if j.Epoch > 0 {
		note = fmt.Sprintf("%s goes on from %s", r.Self.Name, from(j))
	}
	err := r.propose(ctx, store.OpJobTake, store.JobTake{ID: j.ID, Epoch: j.Epoch, Runner: r.Self.ID, Boot: r.Self.Boot, Note: note})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return nil // somebody was faster: the record says who
	}
	if err != nil {
		return err
	}
	delete(r.due, j.ID)
	epoch := j.Epoch + 1
	if j, err = r.job(j.ID); err != nil || j.Epoch != epoch {
		return err // it was taken away again
	}
	own, end := context.WithCancel(ctx)
	made := &attempt{epoch: j.Epoch, end: end, ended: make(chan struct{})}
	r.attempts[j.ID] = made
	r.wait.Go(func() {
		defer close(made.ended)
		defer end()
		r.do(own, j, action)
	})
	return nil
}

func (r *Runner) job(id string) (j model.Job, err error) {
	err = r.Store.View(func(v *store.View) error {
		j, err = v.Job(id)
		return err
	})
	return j, err
}

// from says in words where an attempt goes on.
func from(j model.Job) string {
	if j.Checkpoint == "" {
		return "the beginning"
	}
	return "checkpoint " + j.Checkpoint
}

// do makes one attempt and writes down how it ended.
func (r *Runner) do(ctx context.Context, j model.Job, action Action) {
	a := &Attempt{runner: r, job: j, done: j.Done, total: j.Total, checkpoint: j.Checkpoint}
	err := a.call(ctx, action)
	if ctx.Err() != nil {
		return // another runner goes on
	}
	if err = errors.Join(err, a.flush(ctx)); errors.Is(err, ErrStale) {
		return
	}
	end := store.JobEnd{ID: j.ID, Epoch: j.Epoch, To: model.JobDone, Note: r.Self.Name + ": done"}
	if err != nil {
		end.To, end.Error, end.Note = r.after(j), err.Error(), fmt.Sprintf("%s: failed: %v", r.Self.Name, err)
		r.Log.Warn("a job failed", "job", j.ID, "action", j.Action, "next", end.To, "error", err)
	}
	for ctx.Err() == nil {
		err := r.propose(ctx, store.OpJobEnd, end)
		if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(breath):
		}
	}
}

// after is where a job stands when one more attempt has failed.
func (r *Runner) after(j model.Job) model.JobState {
	if j.Failures+1 >= Tries {
		return model.JobFailed
	}
	return model.JobWaiting
}

// call runs the action; a panic of it is a failed attempt.
func (a *Attempt) call(ctx context.Context, action Action) (err error) {
	defer func() {
		if what := recover(); what != nil {
			a.runner.Log.Error("a job panicked", "job", a.job.ID, "panic", what, "stack", string(debug.Stack()))
			err = fmt.Errorf("it panicked: %v", what)
		}
	}()
	return action(ctx, a)
}

func (r *Runner) propose(ctx context.Context, op store.Op, body any) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	a, err := r.Cluster.Propose(ctx, store.New(op, body))
	if err != nil {
		return fmt.Errorf("propose %s: %w", op, err)
	}
	return a.Err()
}

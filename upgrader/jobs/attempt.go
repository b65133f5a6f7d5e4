package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// ErrStale is answered to an attempt that is not the runner any more: it must
// return and leave everything as it is.
var ErrStale = errors.New("another runner has taken the job")

// linesKept bounds the lines that are not written down yet: the oldest go first.
const linesKept = 500

// Attempt is what an action knows of the job, and where it says how far it came.
// It belongs to the action's goroutine.
type Attempt struct {
	runner *Runner
	job    model.Job

	done, total int64
	checkpoint  string
	lines       []string // not written down yet
}

// Job is the job as it was when the attempt began.
func (a *Attempt) Job() model.Job { return a.job }

// Checkpoint is where to go on; "" is the beginning.
func (a *Attempt) Checkpoint() string { return a.checkpoint }

// Log adds a line to the job's log. It is written down with what is saved next,
// at the latest at the end.
func (a *Attempt) Log(format string, args ...any) {
	a.lines = append(a.lines, fmt.Sprintf(format, args...))
	if surplus := len(a.lines) - linesKept; surplus > 0 {
		a.lines = a.lines[surplus:]
	}
}

// Save writes down that so much of total is done and where the next attempt goes
// on. Nothing up to the checkpoint is done again, so what it stands for has to be
// written before. After an error the action returns.
func (a *Attempt) Save(ctx context.Context, done, total int64, checkpoint string) error {
	a.done, a.total, a.checkpoint = done, total, checkpoint
	err := a.runner.propose(ctx, store.OpJobProgress, store.JobProgress{
		ID: a.job.ID, Epoch: a.job.Epoch, Done: done, Total: total, Checkpoint: checkpoint, Lines: a.lines})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return ErrStale
	}
	if err != nil {
		return fmt.Errorf("write down how far it came: %w", err)
	}
	a.lines = nil
	return nil
}

// flush writes down what was logged since.
func (a *Attempt) flush(ctx context.Context) error {
	if len(a.lines) == 0 {
		return nil
	}
	return a.Save(ctx, a.done, a.total, a.checkpoint)
}

package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/internal/child"
	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/jobs"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// Hooks are executables of the operator's that a member runs around its own turn,
// such as ones that take it out of a load balancer and put it back. "" is none.
type Hooks struct {
	Drain string // before it stops taking new connections
	Post  string // when its turn is over, however it ended

	// Rest is how long a member waits, in a turn of its own, before it tries the drain
	// hook again that failed so many times; nil is as long as a job waits.
	Rest func(failures int) time.Duration
}

const (
	// hookLimit is how long a hook may take.
	hookLimit = time.Minute
	// hookGrace is how long what a hook has started may hold its output open.
	hookGrace = time.Second
	// hookSaid is how much of a hook's output is told, in bytes, of its beginning and its end.
	hookSaid = 1 << 10
)

// oweFile says, in the data directory, which turn the post hook is owed for.
const oweFile = "post-hook.json"

// errand is one turn, as a hook is told of it.
type errand struct {
	Upgrade string `json:"upgrade"`
	Attempt int    `json:"attempt"`
	From    string `json:"from"` // version
	To      string `json:"to"`
}

// errandOf is the turn that this member has.
func (u *Upgrader) errandOf(up *model.Upgrade) errand {
	e := errand{Upgrade: up.ID, Attempt: up.Turn.Attempt, From: u.Self.Version, To: up.Archive.Version}
	if row := up.Member(u.Self.ID); up.Turn.Back && row != nil {
		e.To = row.From
	}
	return e
}

// beforeDrain runs the drain hook once in a turn, and notes that the post hook is
// owed: whatever becomes of the turn, who was taken out is put back. ran says that
// time has gone by, so that the record is to be looked at again. A hook that fails
// gives the turn back.
func (u *Upgrader) beforeDrain(ctx context.Context, up *model.Upgrade) (ran bool, err error) {
	e := u.errandOf(up)
	if u.drained == e {
		return false, nil
	}
	if err := u.owe(e); err != nil {
		return false, fmt.Errorf("note that the post hook is owed: %w", err)
	}
	if u.Hooks.Drain == "" {
		u.drained = e
		return false, nil
	}
	if err = u.restBefore(ctx, up); err == nil {
		err = u.runHook(ctx, "drain", u.Hooks.Drain, e)
	}
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	if err != nil {
		return true, u.turnDown(up, err)
	}
	u.drained = e
	u.Log.Info("the drain hook has run", "hook", u.Hooks.Drain, "upgrade", e.Upgrade, "attempt", e.Attempt)
	return true, nil
}

// restBefore waits before another attempt: what the drain hook asks may be back by
// then. Nothing of the drain has begun, so that the member serves as ever meanwhile.
func (u *Upgrader) restBefore(ctx context.Context, up *model.Upgrade) error {
	failures := 0
	if row := up.Member(u.Self.ID); row != nil {
		failures = row.Attempt - row.Before - 1
	}
	if failures < 1 {
		return nil
	}
	wait := jobs.Backoff(failures)
	if u.Hooks.Rest != nil {
		wait = u.Hooks.Rest(failures)
	}
	u.alive(wait + actLimit)
	u.Log.Info("resting before the drain hook is tried again", "rest", wait)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// turnDown gives a turn back that the drain hook does not let happen. After the
// last attempt this member has failed.
func (u *Upgrader) turnDown(up *model.Upgrade, err error) error {
	to := yet(up.Turn)
	if row := up.Member(u.Self.ID); row != nil && row.Attempt-row.Before >= Attempts {
		to = model.Broken
	}
	return u.leaveTurn(up, model.Draining, to, oneLine(err))
}

func (u *Upgrader) owe(e errand) error {
	if u.Hooks.Post == "" {
		return nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return durable.WriteBytes(filepath.Join(u.DataDir, oweFile), 0o600, raw)
}

// owed is the turn that the post hook is owed for, if there is one.
func (u *Upgrader) owed() (e errand, owed bool, err error) {
	if u.Hooks.Post == "" {
		return e, false, nil
	}
	raw, err := os.ReadFile(filepath.Join(u.DataDir, oweFile))
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	if err != nil {
		return e, false, fmt.Errorf("read what the post hook is owed for: %w", err)
	}
	return e, true, nil
}

// holds says whether this member still has the turn of e.
func (e errand) holds(p picture, member string) bool {
	up := p.record()
	return up != nil && up.ID == e.Upgrade && up.Turn != nil && up.Turn.Member == member && up.Turn.Attempt == e.Attempt
}

// afterTurn runs the post hook when the turn that it is owed for is over. A crash
// before that is written down has it run again. That it fails changes nothing, and
// is told.
func (u *Upgrader) afterTurn(ctx context.Context, p picture) (acted bool, err error) {
	e, owed, err := u.owed()
	if err != nil {
		u.warn(err) // nothing waits for it
		return false, nil
	}
	if !owed || e.holds(p, u.Self.ID) {
		return false, nil
	}
	failure := u.runHook(ctx, "post", u.Hooks.Post, e)
	if ctx.Err() != nil {
		return true, ctx.Err() // the next life runs it again
	}
	if err := durable.Remove(filepath.Join(u.DataDir, oweFile)); err != nil {
		return true, fmt.Errorf("note that the post hook has run: %w", err)
	}
	if failure == nil {
		u.Log.Info("the post hook has run", "hook", u.Hooks.Post, "upgrade", e.Upgrade, "attempt", e.Attempt)
		return true, nil
	}
	u.Log.Warn("after this member's turn", "error", failure)
	note := u.Self.Name + ": " + oneLine(failure)
	return true, ignoreGone(u.propose(ctx, store.OpUpgradeNote, store.UpgradeRef{ID: e.Upgrade, Note: note}))
}

// ignoreGone passes over an upgrade that was cleared away meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return ignoreConflict(err)
}

// posted fails as long as the post hook is owed for a turn that is over: the next
// member does not go before. What is here may lag behind, so it is read as new as
// the cluster is.
func (u *Upgrader) posted(ctx context.Context) error {
	e, owed, err := u.owed()
	if err != nil || !owed {
		return nil
	}
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return fmt.Errorf("look whether the turn is over: %w", err)
	}
	p, err := u.look()
	if err != nil || e.holds(p, u.Self.ID) {
		return err
	}
	return model.Problemf(model.Unavailable, "the post hook of %s has not run yet", u.Self.Name)
}

// runHook runs a hook to its end, in a process group of its own that is gone then.
func (u *Upgrader) runHook(ctx context.Context, which, path string, e errand) error {
	u.alive(hookLimit + 2*hookGrace)
	ctx, cancel := context.WithTimeout(ctx, hookLimit)
	defer cancel()
	said := child.Keep(hookSaid)
	cmd := exec.CommandContext(ctx, path)
	defer child.Tie(cmd, hookGrace)()
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", said, said
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "THESEUS_HOOK=" + which, "THESEUS_MEMBER=" + u.Self.Name,
		"THESEUS_FROM=" + e.From, "THESEUS_TO=" + e.To}
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success():
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("no end within %s", span(hookLimit))
	}
	return fmt.Errorf("%s hook %s: %w%s", which, path, err, said)
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// look finds hooks that could not be run.
func (h Hooks) look() (found []model.Finding) {
	for _, one := range []struct{ name, path string }{{"drain hook", h.Drain}, {"post hook", h.Post}} {
		if one.path == "" {
			continue
		}
		if err := runnable(one.path); err != nil {
			found = append(found, model.Finding{Name: preflight.Prerequisites, Severity: model.Hard,
				What:   one.name + ": " + one.path + ": " + err.Error(),
				Remedy: "put an executable file there, or start the member without it"})
		}
	}
	return found
}

// runnable asks the kernel whether this process may execute a file.
func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a file")
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("this process may not execute it: %w", err)
	}
	return nil
}

package upgrader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// drainLimit is how long a member waits for its clients to come to rest.
const drainLimit = 10 * time.Second

// effect does what Next asked for beside proposing. Each may be done again; the
// record, not this process, remembers whether it is still wanted.
func (u *Upgrader) effect(ctx context.Context, a Action, p picture) error {
	switch a.Do {
	case Check:
		return u.check(ctx, p.upgrade)
	case Arm:
		return u.arm(p.upgrade)
	case Drain:
		return u.drain(ctx, p.upgrade)
	case Swap:
		return u.swap(ctx, p.upgrade)
	case Survey:
		return u.survey(ctx, p, a.To)
	case HandOver:
		return u.handOver(ctx, a.To)
	case Ping:
		return u.ping(ctx, a.To)
	case Verify:
		return u.verify(ctx, p.upgrade)
	}
	return fmt.Errorf("do %q: not an effect", a.Do)
}

// arm makes everything ready while serving. If that cannot be, the attempt is
// over before it began.
func (u *Upgrader) arm(up *model.Upgrade) error {
	err := u.Own.Arm(binary.Plan{
		Upgrade: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, DataDir: u.DataDir,
		Image: up.Archive.Images[u.Self.Platform], Deadline: up.Options.Deadline, Start: u.Launch,
	})
	if err == nil {
		return nil
	}
	return u.leaveTurn(up, model.Waiting, model.Broken, fmt.Sprintf("make ready to swap: %v", err))
}

// leaveTurn writes that this member's attempt ended early, in one of its steps.
func (u *Upgrader) leaveTurn(up *model.Upgrade, from, to model.Step, reason string) error {
	return u.propose(context.Background(), store.OpTurnStep, store.TurnStep{
		ID: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, From: from, To: to, Boot: u.Self.Boot,
		Reason: reason, Note: fmt.Sprintf("%s: %s: %s", u.Self.Name, to, reason)})
}

// drain asks clients to come back on new connections, waits until none would
// lose anything, and writes the last word this member can write.
func (u *Upgrader) drain(ctx context.Context, up *model.Upgrade) error {
	u.Process.LameDuck()
	quiet, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if err := u.Process.Quiet(quiet); err != nil {
		u.Log.Warn("drain", "error", err) // the limit is the rule: it goes all the same
	}
	err := crash.Point("leave", func() error {
		return u.propose(ctx, store.OpTurnStep, store.TurnStep{
			ID: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, From: model.Draining, To: model.Leaving,
			Boot: u.Self.Boot, Note: u.Self.Name + ": leaving, back within " + span(up.Options.Deadline)})
	})
	if err == nil {
		return nil
	}
	// It may have been recorded, and only the answer lost: then giving the turn
	// back is refused, this member stays a lame duck, and swaps next.
	return errors.Join(err, u.leaveTurn(up, model.Draining, model.Waiting, "could not record leaving"))
}

// swap does not come back when it succeeds: the process is another image then.
func (u *Upgrader) swap(ctx context.Context, up *model.Upgrade) error {
	u.Process.LameDuck() // a life that begins here has not done it yet
	err := u.Process.Reexec(ctx, u.Own.Swap)
	u.Process.Recover()
	return errors.Join(err, u.leaveTurn(up, model.Leaving, model.Waiting, fmt.Sprintf("swap: %v", err)))
}

func (u *Upgrader) handOver(ctx context.Context, to string) error {
	if to == "" {
		return errors.New("hand over: no other voter is done")
	}
	u.tries++
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	return crash.Point("transfer", func() error { return u.Cluster.HandOver(ctx, to) })
}

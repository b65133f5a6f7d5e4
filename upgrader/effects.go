package upgrader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// drainLimit is how long a member waits for its clients to come to rest.
const drainLimit = 10 * time.Second

// leavingLimit is how long an image may take from there to its end.
const leavingLimit = 5 * time.Second

// effect does what Next asked for beside proposing. Each may be done again; the
// record, not this process, remembers whether it is still wanted.
func (u *Upgrader) effect(ctx context.Context, a Action, p picture) error {
	u.alive(u.within(a.Do))
	switch a.Do {
	case Check:
		return u.check(ctx, p.upgrade)
	case BackUp:
		return u.backUp(ctx, p.upgrade)
	case Arm:
		return u.arm(ctx, p)
	case Drain:
		return u.drain(ctx, p)
	case Swap:
		return u.swap(ctx, p.upgrade)
	case Survey:
		return u.survey(ctx, p, a.To)
	case HandOver:
		return u.handOver(ctx, a.To)
	case StepAside:
		return u.stepAside(ctx, p, a.To)
	case Prove:
		return u.prove(ctx, p, a.To)
	case Ping:
		return u.ping(ctx, a.To)
	case Verify:
		return u.verify(ctx, p.upgrade)
	case Complete:
		return u.completeData(ctx, p)
	}
	return fmt.Errorf("do %q: not an effect", a.Do)
}

// within is how long an effect may take at most.
func (u *Upgrader) within(e Effect) time.Duration {
	switch e {
	case Check, Arm, Prove:
		return u.trialsLimit() + actLimit
	case Survey:
		return askLimit + compareLimit
	case BackUp:
		return backupLimit + actLimit
	case Complete:
		return finalLimit + 2*actLimit
	}
	return 2 * actLimit
}

// arm makes everything ready while serving. If that cannot be, the attempt is
// over before it began.
func (u *Upgrader) arm(ctx context.Context, p picture) error {
	up := p.upgrade
	row := up.Member(u.Self.ID)
	image := up.Archive.Images[u.Self.Platform]
	if up.Turn.Back {
		image = row.Image
	}
	found, err := u.layOut(ctx, up, image)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return u.leaveTurn(up, row.Step, model.Broken, strings.Join(found, ", "))
	}
	err = u.Own.Arm(binary.Plan{
		Upgrade: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, DataDir: u.DataDir,
		Image: image, Deadline: up.Options.Deadline, Start: u.Launch,
	})
	if err == nil {
		return nil
	}
	return u.leaveTurn(up, row.Step, model.Broken, fmt.Sprintf("make ready to swap: %v", err))
}

// layOut has the executable of a turn lie where it is expected. Going back, the
// kept one has to read what this version wrote: that is tried out like going
// forward. Going forward again, after a swap that was undone, it is unpacked anew.
func (u *Upgrader) layOut(ctx context.Context, up *model.Upgrade, image string) (findings []string, err error) {
	switch {
	case up.Turn.Back:
		if err := u.Own.Recall(image); err != nil {
			return []string{err.Error()}, nil
		}
		return u.proveBack(ctx, up)
	case u.Own.Has(image):
		return nil, nil
	}
	if _, err := u.extract(ctx, up.Archive); err != nil {
		return []string{"unpack the new binary again: " + err.Error()}, nil
	}
	return nil, nil
}

// leaveTurn writes that this member's attempt ended early, in one of its steps.
func (u *Upgrader) leaveTurn(up *model.Upgrade, from, to model.Step, reason string) error {
	return u.propose(context.Background(), store.OpTurnStep, store.TurnStep{
		ID: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, From: from, To: to, Boot: u.Self.Boot,
		Reason: reason, Note: fmt.Sprintf("%s: %s: %s", u.Self.Name, to, reason)})
}

// drain asks clients to come back on new connections, waits until none would
// lose anything, and writes the last word this member can write. It serves on as
// long as the others could not do without it.
func (u *Upgrader) drain(ctx context.Context, p picture) error {
	up := p.upgrade
	if err := u.spared(ctx, p); err != nil {
		u.Process.Recover() // it may have been a lame duck already
		return err
	}
	if ran, err := u.beforeDrain(ctx, up); ran || err != nil {
		return err
	}
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
	return errors.Join(err, u.leaveTurn(up, model.Draining, yet(up.Turn), "could not record leaving"))
}

// swap does not come back when it succeeds: the process is another image then.
func (u *Upgrader) swap(ctx context.Context, up *model.Upgrade) error {
	u.Process.LameDuck() // a life that begins here has not done it yet
	u.leaving()
	err := u.Process.Reexec(ctx, u.Own.Swap)
	u.Process.Recover()
	return errors.Join(err, u.leaveTurn(up, model.Leaving, yet(up.Turn), fmt.Sprintf("swap: %v", err)))
}

// leaving tells the watcher that from here on it is the next image that counts.
func (u *Upgrader) leaving() {
	if u.Pulse == nil {
		return
	}
	if err := u.Pulse.Leaving(leavingLimit); err != nil {
		u.Log.Warn("tell the watcher that this image leaves", "error", err) // it watches for deaths all the same
	}
}

// yet is the step of a member that waits for its turn, in the turn's direction.
func yet(t *model.Turn) model.Step {
	if t.Back {
		return model.Returning
	}
	return model.Waiting
}

// prove finds out, on the first member that is done, whether the new version
// works and whether the kept one reads what it has written, and records it.
func (u *Upgrader) prove(ctx context.Context, p picture, member string) error {
	up := p.upgrade
	found, err := u.canary(ctx, p, member)
	if err != nil {
		return fmt.Errorf("prove that %s works: %w", p.members[member].Version, err)
	}
	back, err := u.askBack(ctx, member, up)
	if err != nil {
		return fmt.Errorf("prove the way back: %w", err)
	}
	unfit := len(found) > 0 && len(back) == 0
	found = append(found, back...)
	note := fmt.Sprintf("%s: wrote, was read through another member and kept the API; the way back to %s is proven, %s",
		p.members[member].Name, up.From, u.backTold)
	if len(found) > 0 {
		note = p.members[member].Name + ": its work was looked at: " + strings.Join(found, "; ")
	}
	return u.propose(ctx, store.OpUpgradeProof, store.UpgradeProof{ID: up.ID, Note: note,
		Proof: model.Proof{Run: up.Runs, Member: member, At: stamp(), Findings: found, Unfit: unfit}})
}

// stepAside is handing over from the wrong side of the floor. When that has been
// tried often enough, this member leads on, and says so.
func (u *Upgrader) stepAside(ctx context.Context, p picture, to string) error {
	err := u.handOver(ctx, to)
	if err == nil || u.tries < Attempts {
		return err
	}
	note := fmt.Sprintf("%s leads on %s under cluster version %s, though %s has led: no member of that took over",
		u.Self.Name, u.Self.Version, p.cluster.Version, p.cluster.Floor)
	return errors.Join(err, ignoreConflict(u.propose(ctx, store.OpUpgradeNote, store.UpgradeRef{ID: p.upgrade.ID, Note: note})))
}

func (u *Upgrader) handOver(ctx context.Context, to string) error {
	if to == "" {
		return errors.New("hand over: no other voter is done")
	}
	u.tries++
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	if err := u.Cluster.Call(ctx, to, pathWell, struct{}{}, &well{}); err != nil {
		return fmt.Errorf("hand over: ask %s whether it is well: %w", to, err)
	}
	return crash.Point("transfer", func() error { return u.Cluster.HandOver(ctx, to) })
}

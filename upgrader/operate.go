package upgrader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// What operators ask for. Each call proposes and returns; the loops do the rest.

const statusHint = "see `theseus system upgrade status`"

func nothingStaged() error {
	return model.Problemf(model.NotFound, "nothing is staged: stage an archive with `theseus system upgrade stage FILE`").
		About("profiles", model.TrackingProfile)
}

// Start begins the staged upgrade, or goes on with a failed one, as the order in
// body says; or it schedules that. While one is under way it changes nothing and
// is no error.
func (u *Upgrader) Start(ctx context.Context, body []byte, by string) error {
	o, err := parseOrder(body, time.Now())
	if err != nil {
		return err
	}
	p, err := u.look()
	if err != nil {
		return err
	}
	if p.upgrade == nil {
		return nothingStaged()
	}
	if p.upgrade.Phase.Status() == "working" {
		return nil
	}
	if o.options.Exclude, err = excluded(p, o.exclude); err != nil {
		return err
	}
	if err := u.startable(p, o.options); err != nil {
		return err
	}
	if !o.at.IsZero() || !openFor(o.options) {
		return u.schedule(ctx, p, o, by)
	}
	return u.start(ctx, p, o.options, by)
}

// startable says why what is staged cannot be started, whoever asks and when.
func (u *Upgrader) startable(p picture, o model.Options) error {
	up := p.upgrade
	failed := p.cluster.Failed[up.Archive.Digest]
	switch {
	case up.Phase == model.Finished:
		return model.Problemf(model.Conflict, "the upgrade to %s is finished; clear it, then stage another archive", up.Archive.Version)
	case failed != "" && !o.Force:
		return model.Problemf(model.Conflict, "this build failed before (%s): clear it and stage another archive, or try it again with --force", failed)
	case up.Rollback != "" || up.Turn != nil:
		return model.Problemf(model.Conflict, "a member is going back: %s and try again when that has ended", statusHint)
	case !o.Plain() && p.cluster.Level == 0:
		return model.Problemf(model.Conflict, "run options beyond deadline, probation, window, at and exclude: %v", tooEarly())
	}
	if !o.Simple() && p.cluster.Level < migrationLevel {
		return model.Problemf(model.Conflict, "run options mode and throttle: %v", tooEarly())
	}
	return quorate(p, u.Cluster.Voters(), o.Exclude)
}

// tooEarly says why something cannot be asked for in a cluster that an earlier
// build began.
func tooEarly() error {
	return model.Problemf(model.Conflict, "the cluster was begun by an earlier version, whose members could not read it: complete an upgrade to this version first")
}

// start starts now.
func (u *Upgrader) start(ctx context.Context, p picture, o model.Options, by string) error {
	accepted, err := u.ready(ctx, p, o)
	if err != nil {
		return err
	}
	op := store.OpUpgradeStart
	if !o.Plain() {
		op = store.OpUpgradeRun
	}
	err = u.propose(ctx, op, store.UpgradeStart{
		ID: p.upgrade.ID, Options: o, Members: plan(p, p.upgrade, o.Exclude), Note: startNote(p, o, by) + acceptedNote(by, accepted)})
	return ignoreConflict(err) // another start was faster, or a stop: status tells
}

// startNote is the line that a run begins with.
func startNote(p picture, o model.Options, by string) string {
	verb := noteStarted
	if p.upgrade.Runs > 0 {
		verb += " again"
	}
	note := fmt.Sprintf("%s by %s: %s -> %s, %s a member, probation %s",
		verb, by, p.cluster.Version, p.upgrade.Archive.Version, span(o.Deadline), span(o.Probation))
	if o.Window != "" {
		note += ", in the window " + o.Window
	}
	if o.OnFailure != "" {
		note += "; goes back by itself if a member fails"
	}
	if o.HoldAfter > 0 {
		note += fmt.Sprintf("; pauses after %d", o.HoldAfter)
	}
	if o.Backup == model.BackupNone {
		note += "; without a backup of its own"
	}
	if len(o.Exclude) > 0 {
		return note + "; leaves out " + strings.Join(names(p, o.Exclude), ", ")
	}
	if o.Hold {
		return note + "; waits for `theseus system upgrade complete`, and the way back stays open until then"
	}
	return note + "; completes by itself, and with that closes the way back"
}

// schedule orders the start for later, in the place of one ordered before.
func (u *Upgrader) schedule(ctx context.Context, p picture, o order, by string) error {
	s := &model.Schedule{Options: o.options, By: by}
	if !o.at.IsZero() {
		s.At = o.at.Format(time.RFC3339Nano)
	}
	err := u.propose(ctx, store.OpUpgradeSchedule, store.UpgradeSchedule{
		ID: p.upgrade.ID, Before: p.upgrade.Schedule, Schedule: s, Note: noteScheduled + by + ": " + whenText(s, time.Now())})
	if errors.Is(err, store.ErrConflict) {
		return model.Problemf(model.Conflict, "the upgrade moved while its start was being scheduled: %s and try again", statusHint)
	}
	return err
}

// Cancel takes back a start that was scheduled. What is staged stays so.
func (u *Upgrader) Cancel(ctx context.Context, by string) error {
	p, err := u.look()
	if err != nil {
		return err
	}
	if p.upgrade != nil && p.upgrade.Schedule != nil {
		err := u.unschedule(ctx, p.upgrade, noteCancelled+by)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if p, err = u.look(); err != nil { // it started, or was cancelled, meanwhile
			return err
		}
	}
	if p.upgrade != nil && p.upgrade.Phase.Status() == "working" {
		return model.Problemf(model.Conflict, "it has started already: `theseus system upgrade unstage` ends it after the step under way")
	}
	return model.Problemf(model.NotFound, "no start is scheduled; %s", statusHint)
}

// Pause has nothing new begin: the step under way ends, and members that are
// through stay so. Paused already is no error.
func (u *Upgrader) Pause(ctx context.Context, by string) error {
	up, err := u.current()
	switch {
	case err != nil:
		return err
	case up.Phase.Status() != "working":
		return model.Problemf(model.Conflict, "the upgrade is %s, and only one that works can be paused: %s", up.Phase, statusHint)
	case up.Paused != nil:
		return nil
	}
	return moved(u.propose(ctx, store.OpUpgradePause, store.UpgradePause{ID: up.ID, By: by, Note: "paused by " + by}), "paused")
}

// Resume goes on with what was paused or held.
func (u *Upgrader) Resume(ctx context.Context, by string) error {
	up, err := u.current()
	switch {
	case err != nil:
		return err
	case up.Paused == nil && up.Phase.Status() == "working":
		return nil
	case up.Paused == nil:
		return model.Problemf(model.Conflict, "the upgrade is %s and not paused: %s", up.Phase, statusHint)
	}
	return moved(u.propose(ctx, store.OpUpgradeResume, store.UpgradeRef{ID: up.ID, Note: "resumed by " + by}), "resumed")
}

// Rollback takes the whole rollout back to the version before, as long as it is
// not completed. Asked already is no error.
func (u *Upgrader) Rollback(ctx context.Context, by string) error {
	up, err := u.current()
	switch {
	case err != nil:
		return err
	case up.Phase == model.Reverting || up.Rollback != "":
		return nil
	case up.Runs == 0:
		return model.Problemf(model.Conflict, "the upgrade to %s was not started: there is nothing to go back from; `theseus system upgrade unstage` clears it away", up.Archive.Version)
	case up.Completed:
		return model.Problemf(model.Conflict, "the upgrade to %s is completed, and with that the way back is closed: restore a backup, or stage a newer release", up.Archive.Version)
	case up.Stop:
		return model.Problemf(model.Conflict, "the upgrade is being cleared away: %s", statusHint)
	}
	return moved(u.propose(ctx, store.OpUpgradeRollback, store.UpgradeRollback{ID: up.ID, By: by, Note: "roll-back asked by " + by}), "rolled back")
}

// current is the upgrade that people deal with, in a cluster whose members all read
// what level 1 writes.
func (u *Upgrader) current() (*model.Upgrade, error) {
	p, err := u.look()
	switch {
	case err != nil:
		return nil, err
	case p.upgrade == nil:
		return nil, nothingStaged()
	case p.cluster.Level == 0:
		return nil, tooEarly()
	}
	return p.upgrade, nil
}

// moved makes a sentence of a conflict.
func moved(err error, verb string) error {
	if errors.Is(err, store.ErrConflict) {
		return model.Problemf(model.Conflict, "the upgrade moved while it was being %s: %s and try again", verb, statusHint)
	}
	return err
}

// Unstage clears the upgrade away, or, while it works, asks it to end after the
// step under way; pending says that this is what happens. A staging under way
// is dropped.
func (u *Upgrader) Unstage(ctx context.Context, by string) (pending bool, err error) {
	p, err := u.look()
	if err != nil {
		return false, err
	}
	if p.staging != nil {
		err := u.propose(ctx, store.OpStageDrop, store.StageRef{ID: p.staging.ID})
		return false, ignoreConflict(err)
	}
	up := p.upgrade
	if up == nil {
		return false, nothingStaged()
	}
	if up.Phase.Status() == "working" {
		err := u.propose(ctx, store.OpUpgradeStop, store.UpgradeRef{ID: up.ID, Note: "stop asked by " + by})
		return true, ignoreConflict(err)
	}
	if unsettled(up) {
		return false, inBetween(p, up, "it is cleared away")
	}
	err = u.propose(ctx, store.OpUpgradeClear, store.UpgradeRef{ID: up.ID, Note: up.Archive.Version + " cleared by " + by})
	if errors.Is(err, store.ErrConflict) {
		return false, model.Problemf(model.Conflict, "the upgrade moved while it was being cleared: %s and try again", statusHint)
	}
	if err != nil {
		return false, err
	}
	return false, u.cleared(ctx)
}

func ignoreConflict(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// cleared returns when the loop has cleared this member's disk of what was unstaged.
func (u *Upgrader) cleared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	for tick := time.Tick(breath / 20); ; {
		p, err := u.look()
		if err != nil {
			return err
		}
		present, err := u.Store.Archives()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(present, func(d string) bool { return !u.wanted(p, d) }) {
			return nil
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "it is cleared, and its disk is not returned on this member yet; its log says why")
		}
	}
}

// ExecAnswer says how this member stands to its own swap.
type ExecAnswer int

const (
	AlreadyThere ExecAnswer = iota // it runs the staged image
	ItsTurn                        // it goes now
)

// Exec is Digital Rebar's call to one member to upgrade itself. A member acts
// on the record and not on a message, so this only says what the record says.
func (u *Upgrader) Exec() (ExecAnswer, error) {
	p, err := u.look()
	if err != nil {
		return 0, err
	}
	up := p.upgrade
	switch {
	case up == nil:
		return 0, nothingStaged()
	case u.Self.Image == up.Archive.Images[u.Self.Platform]:
		return AlreadyThere, nil
	case up.Turn == nil:
		return 0, model.Problemf(model.Conflict, "it is nobody's turn: the upgrade is %s; %s", up.Phase, statusHint)
	case up.Turn.Member != u.Self.ID:
		return 0, model.Problemf(model.Conflict, "it is the turn of %s", p.members[up.Turn.Member].Name)
	}
	return ItsTurn, nil
}

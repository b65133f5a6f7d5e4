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
	"github.com/theseusd/theseus/upgrader/policy"
)

// Schedules and windows are the operator's, so they go by the wall clock, that of
// the member that leads. Everything else that is waited for is not.

const (
	// grace is how late a start without a window may be.
	grace = 15 * time.Minute
	// tryEvery is how long the leader lets a start rest that was refused.
	tryEvery = 5 * time.Second
)

// What the lines of the transcript that tell of a schedule begin with.
const (
	noteScheduled = "scheduled by "
	noteCancelled = "schedule cancelled by "
	noteRefused   = "scheduled start, not yet: "
	noteDropped   = "schedule dropped: "
	noteStarted   = "started"
	noteWindow    = "waits: "
)

// hour is how the time of a scheduled start stands to now.
type hour string

const (
	early hour = "early"
	due   hour = "due"
	late  hour = "late" // it has no window, and the grace is over
)

// hourOf says how s stands to now, and when it is due, or was.
func hourOf(s *model.Schedule, now time.Time) (hour, time.Time, error) {
	at := now
	if s.At != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, s.At); err != nil {
			return early, at, fmt.Errorf("read when the start is scheduled: %w", err)
		}
	}
	if s.Options.Window != "" {
		w, err := policy.ParseWindow(s.Options.Window)
		if err != nil {
			return early, at, err
		}
		at = w.Next(latest(at, now))
	}
	switch {
	case now.Before(at):
		return early, at, nil
	case now.Sub(at) > grace:
		return late, at, nil
	}
	return due, at, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// scheduled starts the upgrade on the leader when its time has come, and drops
// the schedule when that could not be for too long.
func (u *Upgrader) scheduled(ctx context.Context, p picture) (acted bool, err error) {
	up := p.upgrade
	if up == nil || !u.Cluster.Leading() {
		return false, nil
	}
	if up.Schedule == nil {
		return u.closed(ctx, up)
	}
	now := time.Now()
	h, at, err := hourOf(up.Schedule, now)
	switch {
	case err != nil || h == early:
		return false, err
	case h == late:
		return true, ignoreConflict(u.unschedule(ctx, up, noteDropped+tooLate(up, at)))
	case now.Sub(u.tried) < tryEvery:
		return false, nil
	}
	u.tried = now
	u.alive(2 * actLimit)
	return u.startDue(ctx, p)
}

// startDue tries what Start does. A refusal is a line in the transcript, once.
func (u *Upgrader) startDue(ctx context.Context, p picture) (acted bool, err error) {
	up, o := p.upgrade, p.upgrade.Schedule.Options
	accepted, err := u.mayStart(ctx, p, o)
	var refusal *model.Problem
	if errors.As(err, &refusal) {
		return u.note(ctx, up, noteRefused+refusal.Error())
	}
	if err != nil {
		return false, err
	}
	return true, ignoreConflict(u.propose(ctx, store.OpScheduleDue, store.ScheduleDue{
		ID: up.ID, Schedule: *up.Schedule, Members: plan(p, up, o.Exclude),
		Note: startNote(p, o, up.Schedule.By+", as scheduled") + acceptedNote(up.Schedule.By, accepted),
	}))
}

// mayStart asks at the scheduled time what Start asks at once.
func (u *Upgrader) mayStart(ctx context.Context, p picture, o model.Options) (accepted []model.Finding, err error) {
	if err := u.startable(p, o); err != nil {
		return nil, err
	}
	return u.ready(ctx, p, o)
}

// closed notes that members wait for the window of a run to open.
func (u *Upgrader) closed(ctx context.Context, up *model.Upgrade) (acted bool, err error) {
	if up.Phase != model.Rolling || up.Turn != nil || called(sight{u: up}) || !slices.ContainsFunc(up.Members, waits) || u.open(up) {
		return false, nil
	}
	return u.note(ctx, up, noteWindow+windowText(up.Options.Window, time.Now()))
}

func waits(p model.Progress) bool { return p.Step == model.Waiting }

// notesKept bounds the reasons that are noted of one schedule: an address in a
// reason may make each of them new.
const notesKept = 20

// note adds a line to the transcript, if it does not stand there already since
// the start was scheduled.
func (u *Upgrader) note(ctx context.Context, up *model.Upgrade, note string) (acted bool, err error) {
	if slices.Contains(sinceScheduled(up), note) || len(scheduleIssues(up)) >= notesKept {
		return false, nil
	}
	return true, ignoreConflict(u.propose(ctx, store.OpUpgradeNote, store.UpgradeRef{ID: up.ID, Note: note}))
}

// sinceScheduled are the lines of the transcript, without their stamps, since
// the last start that was scheduled.
func sinceScheduled(up *model.Upgrade) (lines []string) {
	for _, line := range up.Transcript {
		text := told(line)
		if strings.HasPrefix(text, noteScheduled) {
			lines = nil
		}
		lines = append(lines, text)
	}
	return lines
}

// told is a line of the transcript without its stamp.
func told(line string) string {
	_, text, _ := strings.Cut(line, " ")
	return text
}

// unschedule takes the schedule away that up shows, and no other.
func (u *Upgrader) unschedule(ctx context.Context, up *model.Upgrade, note string) error {
	return u.propose(ctx, store.OpUpgradeSchedule, store.UpgradeSchedule{ID: up.ID, Before: up.Schedule, Note: note})
}

func tooLate(up *model.Upgrade, at time.Time) string {
	reason := "no member led then"
	if refused := scheduleIssues(up); len(refused) > 0 {
		reason = refused[len(refused)-1]
	}
	return fmt.Sprintf("it could not start within %s of %s: %s", span(grace), at.UTC().Format(time.RFC3339), reason)
}

// scheduleIssues are why the schedule of up has not led to a start, or was
// dropped; of one that was cancelled or has started there are none.
func scheduleIssues(up *model.Upgrade) (issues []string) {
	if up.Phase != model.Staged && up.Phase != model.Failed {
		return nil
	}
	for _, text := range sinceScheduled(up) {
		refusal, refused := strings.CutPrefix(text, noteRefused)
		switch {
		case refused:
			issues = append(issues, refusal)
		case strings.HasPrefix(text, noteDropped):
			issues = []string{text}
		case strings.HasPrefix(text, noteCancelled), strings.HasPrefix(text, noteStarted):
			issues = nil
		}
	}
	return issues
}

// scheduleText says what an upgrade waits for whose start is scheduled.
func scheduleText(s *model.Schedule, now time.Time) string {
	return "its start, scheduled by " + s.By + ": " + whenText(s, now)
}

func whenText(s *model.Schedule, now time.Time) string {
	h, at, err := hourOf(s, now)
	if err != nil {
		return err.Error()
	}
	text := "at " + at.UTC().Format(time.RFC3339)
	if h != early {
		text = "due"
	}
	if s.Options.Window != "" {
		text += ", in the window " + s.Options.Window
	}
	return text
}

// windowText says whether members may go now, and until or from when.
func windowText(window string, now time.Time) string {
	w, err := policy.ParseWindow(window)
	switch {
	case err != nil:
		return err.Error()
	case w.Open(now):
		return fmt.Sprintf("the window %s is open until %s", window, w.Until(now).UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("the window %s opens at %s", window, w.Next(now).UTC().Format(time.RFC3339))
}

// open says whether members may go now: always, unless the run has a window.
func (u *Upgrader) open(up *model.Upgrade) bool { return openFor(up.Options) }

// openFor is open for a run with these options. A window that this version
// cannot read is closed.
func openFor(o model.Options) bool {
	if o.Window == "" {
		return true
	}
	w, err := policy.ParseWindow(o.Window)
	return err == nil && w.Open(time.Now())
}

package store

import (
	"reflect"

	"github.com/theseusd/theseus/model"
)

// UpgradeSchedule orders a start for later, or with no Schedule takes the order
// back. It applies only to what it was decided on: the schedule before.
type UpgradeSchedule struct {
	ID       string          `json:"id"`
	Before   *model.Schedule `json:"before,omitempty"`
	Schedule *model.Schedule `json:"schedule,omitempty"`
	Note     string          `json:"note"`
}

// ScheduleDue starts an upgrade as its schedule says, if that still stands.
type ScheduleDue struct {
	ID       string           `json:"id"`
	Schedule model.Schedule   `json:"schedule"`
	Members  []model.Progress `json:"members"` // the plan
	Note     string           `json:"note"`
}

func scheduleOps() map[Op]op {
	return map[Op]op{
		OpUpgradeSchedule: with(first, scheduleUpgrade, UpgradeSchedule{ID: "sample"}),
		OpScheduleDue:     with(first, startScheduled, ScheduleDue{ID: "sample"}),
		OpUpgradeNote:     with(first, noteUpgrade, UpgradeRef{ID: "sample"}),
	}
}

func scheduleUpgrade(e entry, c UpgradeSchedule) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Staged && u.Phase != model.Failed || !reflect.DeepEqual(u.Schedule, c.Before) {
			return ErrConflict
		}
		u.Schedule = c.Schedule
		return nil
	})
}

// startScheduled excludes a schedule that was taken back meanwhile: whoever was
// told that it is cancelled sees nothing start.
func startScheduled(e entry, c ScheduleDue) error {
	err := changeRecord(e, c.ID, func(u *model.Upgrade) error {
		if u.Schedule == nil || !reflect.DeepEqual(*u.Schedule, c.Schedule) {
			return ErrConflict
		}
		return nil
	})
	if err != nil {
		return err
	}
	return startUpgrade(e, UpgradeStart{ID: c.ID, Options: c.Schedule.Options, Members: c.Members, Note: c.Note})
}

// noteUpgrade adds a line to the transcript and changes nothing else.
func noteUpgrade(e entry, c UpgradeRef) error {
	return changeUpgrade(e, c.ID, c.Note, func(*model.Upgrade) error { return nil })
}

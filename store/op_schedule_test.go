package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func (c *commands) upgrade() (u *model.Upgrade) {
	c.t.Helper()
	err := c.View(func(v *View) (err error) {
		u, err = v.Upgrade()
		return err
	})
	if err != nil || u == nil {
		c.t.Fatalf("no upgrade: %v", err)
	}
	return u
}

// conflicts expects that a command is refused and changes nothing.
func (c *commands) conflicts(op Op, body any) {
	c.t.Helper()
	before := c.upgrade()
	if err := c.do(op, body); !errors.Is(err, ErrConflict) {
		c.t.Errorf("%s: %v, want a conflict", op, err)
	}
	if diff := cmp.Diff(before, c.upgrade()); diff != "" {
		c.t.Errorf("%s was refused and changed something: %s", op, diff)
	}
}

func schedule(at string) *model.Schedule {
	return &model.Schedule{At: at, By: "admin", Options: model.Options{Deadline: time.Minute, Exclude: []string{"3"}, Window: "22:00-04:00"}}
}

func TestAScheduleIsChangedOnlyByWhoSawIt(t *testing.T) {
	c := newCommands(t)
	c.staged("u")
	a, b := schedule("a"), schedule("b")
	c.conflicts(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Before: a, Schedule: b})
	c.conflicts(OpUpgradeSchedule, UpgradeSchedule{ID: "another", Schedule: a})
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Schedule: a, Note: "scheduled"})
	c.conflicts(OpUpgradeSchedule, UpgradeSchedule{ID: "u"})
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Before: a, Schedule: b})
	c.conflicts(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Before: a})
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Before: b})
	if s := c.upgrade().Schedule; s != nil {
		t.Errorf("there is a schedule: %+v", s)
	}
}

func TestAScheduleThatWasCancelledStartsNothing(t *testing.T) {
	c := newCommands(t)
	c.staged("u")
	a, b := schedule("a"), schedule("b")
	c.conflicts(OpScheduleDue, ScheduleDue{ID: "u", Schedule: *a})
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Schedule: a})
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Before: a, Schedule: b})
	c.conflicts(OpScheduleDue, ScheduleDue{ID: "u", Schedule: *a})
	members := []model.Progress{{ID: "1", Step: model.Waiting}}
	c.must(OpScheduleDue, ScheduleDue{ID: "u", Schedule: *b, Members: members, Note: "started"})
	u := c.upgrade()
	if u.Phase != model.Checking || u.Runs != 1 || u.Schedule != nil || u.Options.Window != "22:00-04:00" || !slices.Equal(u.Options.Exclude, []string{"3"}) || len(u.Members) != 1 {
		t.Errorf("started as %+v", u)
	}
	c.conflicts(OpScheduleDue, ScheduleDue{ID: "u", Schedule: *b})
	c.conflicts(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Schedule: a}) // at work
}

func TestAStartTakesTheScheduleAway(t *testing.T) {
	c := newCommands(t)
	c.staged("u")
	c.must(OpUpgradeSchedule, UpgradeSchedule{ID: "u", Schedule: schedule("a")})
	c.must(OpUpgradeStart, UpgradeStart{ID: "u"})
	if s := c.upgrade().Schedule; s != nil {
		t.Errorf("there is a schedule: %+v", s)
	}
}

package upgrader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

// What people read when something stands still, and what they may do then.
func TestWhatItWaitsFor(t *testing.T) {
	paused := func(u *model.Upgrade) { u.Paused = &model.Pause{By: "admin", Since: "2026-11-21T10:05:00Z"} }
	phase := func(p model.Phase) func(*model.Upgrade) { return func(u *model.Upgrade) { u.Phase = p } }
	all := func() *model.Upgrade { return asking(done(rollout(), "n1", "n2", "n3"), phase(model.Finished)) }
	failed := func() *model.Upgrade { return asking(done(rollout(), "n1"), phase(model.Failed)) }
	for _, c := range []struct {
		name    string
		u       *model.Upgrade
		bad     bool // the build failed before
		what    string
		choices []string
	}{
		{"staged", asking(rollout(), phase(model.Staged)), false, "the operator", []string{"theseus system upgrade start", chooseUnstage}},
		{"staged, a build that failed before", asking(rollout(), phase(model.Staged)), true, "the operator", []string{chooseForce, chooseUnstage}},
		{"checking", asking(rollout(), func(u *model.Upgrade) { u.Phase, u.Runs = model.Checking, 2 }), false, "the trial run on n1, n2, n3, 2m at most", []string{"wait", choosePause, chooseBack, chooseStop}},
		{"a member is out", turn(rollout(), "n2", model.Leaving), false, "n2 to be back on 1.1.0", []string{"wait", choosePause, chooseBack, chooseStop}},
		{"a member is out, to go back", backTurn(reverting(), "n2", model.Leaving), false, "n2 to be back on 1.0.0", []string{"wait", choosePause, chooseStop}},
		{"paused", asking(rollout(), paused), false, "the operator: paused by admin", []string{chooseResume, chooseBack, chooseStop}},
		{"paused while one is out", asking(turn(rollout(), "n2", model.Leaving), paused), false, "n2 to be back on 1.1.0, 1h at most; then it pauses, asked by admin", []string{"wait", chooseResume, chooseBack, chooseStop}},
		{"stop asked", asking(turn(rollout(), "n2", model.Leaving), func(u *model.Upgrade) { u.Stop = true }), false, "then all is cleared (stop was asked)", []string{"wait"}},
		{"roll-back asked", asking(turn(rollout(), "n2", model.Leaving), func(u *model.Upgrade) { u.Rollback = "admin" }), false, "then every member goes back (asked by admin)", []string{"wait", chooseStop}},
		{"something is in the way", asking(rollout(), func(u *model.Upgrade) { u.Wait = model.Wait{For: waitKey(u, true), Why: "n3 is down"} }), false, "in the way: n3 is down", []string{"wait", choosePause, chooseBack, chooseStop}},
		{"what was in the way before is over", asking(rollout(), func(u *model.Upgrade) { u.Wait = model.Wait{For: "another wait", Why: "n3 is down"} }), false, "every other member to be up before the next one goes, or leadership to move to one that is done", nil},
		{"failed", failed(), false, "the operator", []string{chooseStart, chooseBack, chooseUnstage + ", then stage another build"}},
		{"failed by its build", failed(), true, "the operator", []string{chooseForce, chooseBack, chooseUnstage + ", then stage another build"}},
		{"rolled back", asking(failed(), func(u *model.Upgrade) { u.Back = model.BackDone }), false, "the operator", []string{chooseStart, chooseUnstage + ", then stage another build"}},
		{"going back failed", asking(failed(), func(u *model.Upgrade) { u.Back = model.BackFailed }), false, "the operator", []string{chooseStart, chooseBack, chooseUnstage + ", then stage another build"}},
		{"on hold", asking(all(), func(u *model.Upgrade) { u.Options.Hold = true }), false, "the operator: completion is on hold", []string{chooseComplete, chooseBack}},
		{"completed", asking(all(), func(u *model.Upgrade) { u.Completed = true }), false, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.u.Since = "2026-11-21T10:00:00Z"
			p := picture{upgrade: c.u, members: seenBy("n1").Members, cluster: model.Cluster{Version: "1.0.0", Level: 1}}
			for i, row := range c.u.Members {
				c.u.Members[i].Since, c.u.Members[i].From = c.u.Since, "1.0.0"
				if finished(row) {
					p.members = Seen{Members: p.members}.onNew(row.ID, "x").Members
				}
			}
			if c.bad {
				p.cluster.Failed = map[string]string{"d": "died three times"}
			}
			w := waitingFor(p)
			if c.what == "" {
				if w != nil {
					t.Errorf("waits for %+v", w)
				}
				return
			}
			if w == nil || !strings.Contains(w.What, c.what) || w.Since == "" || c.choices != nil && !slices.Equal(w.Choices, c.choices) {
				t.Errorf("got %+v, want %q and %q", w, c.what, c.choices)
			}
		})
	}
}

func TestNothingIsOfferedThatALevelRefuses(t *testing.T) {
	for _, u := range []*model.Upgrade{rollout(), failedWith(model.Broken), asking(rollout(), func(u *model.Upgrade) { u.Phase = model.Staged })} {
		p := picture{upgrade: u, members: upgraded("n1", "n2").Members, cluster: model.Cluster{Failed: map[string]string{"d": "died"}}}
		w := waitingFor(p)
		for _, c := range []string{choosePause, chooseResume, chooseBack, chooseForce} {
			if slices.Contains(w.Choices, c) || len(w.Choices) == 0 {
				t.Errorf("phase %s at level 0 offers %q", u.Phase, w.Choices)
			}
		}
	}
}

func TestWhatComesWhenTheTimeIsOver(t *testing.T) {
	began := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Format(time.RFC3339)
	orBack := func(u *model.Upgrade) { u.Options.OnFailure = model.OnFailureRollback }
	for _, c := range []struct {
		u    *model.Upgrade
		at   string
		then string
	}{
		{rollout(), "2026-11-21T11:00:00Z", "the upgrade fails; it can be started again"},
		{asking(rollout(), orBack), "2026-11-21T11:00:00Z", "every member goes back"},
		{asking(reverting("n2"), orBack), "2026-11-21T11:00:00Z", "the upgrade fails; it can be started again"},
		{turn(rollout(), "n2", model.Probation), "2026-11-21T10:00:10Z", "the member is done"},
		{backTurn(reverting(), "n2", model.Probation), "2026-11-21T10:00:10Z", "the member is reverted"},
		{asking(rollout(), func(u *model.Upgrade) { u.Paused = &model.Pause{By: "admin", Since: began} }), "", ""},
	} {
		c.u.Since = began
		if row := turnOf(c.u); row != nil {
			row.Since = began
		}
		w := waitingFor(picture{upgrade: c.u, members: seenBy("n1").Members})
		if w.Until != c.at || w.Then != c.then {
			t.Errorf("phase %s, turn %+v: until %q, then %q; want %q, %q", c.u.Phase, c.u.Turn, w.Until, w.Then, c.at, c.then)
		}
	}
}

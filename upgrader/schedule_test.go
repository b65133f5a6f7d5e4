package upgrader

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func TestWhenAScheduledStartIsDue(t *testing.T) {
	for _, c := range []struct {
		at, window string
		now        time.Duration // from noon
		want       hour
		due        string
	}{
		{"2026-11-21T12:00:00Z", "", -time.Nanosecond, early, "2026-11-21T12:00:00Z"},
		{"2026-11-21T12:00:00Z", "", 0, due, "2026-11-21T12:00:00Z"},
		{"2026-11-21T12:00:00Z", "", grace, due, "2026-11-21T12:00:00Z"},
		{"2026-11-21T12:00:00Z", "", grace + 1, late, "2026-11-21T12:00:00Z"},
		{"2026-11-21T13:00:00+01:00", "", 0, due, "2026-11-21T12:00:00Z"},

		// A window is tried for as long as it is open, and the next one after it.
		{"", "13:00-14:00", 0, early, "2026-11-21T13:00:00Z"},
		{"", "13:00-14:00", 100 * time.Minute, due, "2026-11-21T13:40:00Z"},
		{"", "13:00-14:00", 2 * time.Hour, early, "2026-11-22T13:00:00Z"},
		{"2026-11-21T13:30:00Z", "13:00-14:00", 80 * time.Minute, early, "2026-11-21T13:30:00Z"},
		{"2026-11-21T13:30:00Z", "13:00-14:00", 90 * time.Minute, due, "2026-11-21T13:30:00Z"},
		{"2026-11-21T15:00:00Z", "13:00-14:00", 90 * time.Minute, early, "2026-11-22T13:00:00Z"},
		{"2026-11-20T15:00:00Z", "13:00-14:00", 90 * time.Minute, due, "2026-11-21T13:30:00Z"},
	} {
		s := &model.Schedule{At: c.at, Options: model.Options{Window: c.window}}
		got, when, err := hourOf(s, noon().Add(c.now))
		if err != nil || got != c.want || when.UTC().Format(time.RFC3339) != c.due {
			t.Errorf("at %q in %q, %s from noon: %s at %s, %v, want %s at %s", c.at, c.window, c.now, got, when.UTC(), err, c.want, c.due)
		}
	}
	for _, s := range []model.Schedule{{At: "soon"}, {Options: model.Options{Window: "at night"}}} {
		if h, _, err := hourOf(&s, noon()); h != early || err == nil {
			t.Errorf("%+v, which nobody can read: %s, %v", s, h, err)
		}
	}
}

func TestWhatAScheduleSaysOfItself(t *testing.T) {
	s := &model.Schedule{At: "2026-11-21T13:00:00+01:00", By: "admin"}
	if got := scheduleText(s, noon().Add(-time.Hour)); got != "its start, scheduled by admin: at 2026-11-21T12:00:00Z" {
		t.Error(got)
	}
	if got := scheduleText(s, noon()); got != "its start, scheduled by admin: due" {
		t.Error(got)
	}
	s = &model.Schedule{By: "admin", Options: model.Options{Window: "Mon 22:00-04:00 Europe/Berlin"}}
	if got := scheduleText(s, noon()); got != "its start, scheduled by admin: at 2026-11-23T21:00:00Z, in the window Mon 22:00-04:00 Europe/Berlin" {
		t.Error(got)
	}
	if got := windowText("12:00-13:00", noon()); got != "the window 12:00-13:00 is open until 2026-11-21T13:00:00Z" {
		t.Error(got)
	}
	if got := windowText("11:00-12:00", noon()); got != "the window 11:00-12:00 opens at 2026-11-22T11:00:00Z" {
		t.Error(got)
	}
}

func TestIssuesOfASchedule(t *testing.T) {
	const scheduled, refused, dropped = "1 scheduled by admin: at 2", "2 scheduled start, not yet: n3: is down", "3 schedule dropped: n3: is down"
	for _, c := range []struct {
		phase model.Phase
		lines []string
		want  []string
	}{
		{model.Staged, nil, nil},
		{model.Staged, []string{"0 1.0.0 staged", scheduled}, nil},
		{model.Staged, []string{scheduled, refused}, []string{"n3: is down"}},
		{model.Staged, []string{scheduled, refused, dropped}, []string{"schedule dropped: n3: is down"}},
		{model.Failed, []string{scheduled, refused, dropped}, []string{"schedule dropped: n3: is down"}},
		{model.Staged, []string{scheduled, refused, dropped, scheduled}, nil},
		{model.Staged, []string{scheduled, refused, "3 schedule cancelled by admin"}, nil},
		{model.Failed, []string{scheduled, refused, "3 started by admin, as scheduled: 1.0.0 -> 1.1.0"}, nil},
		{model.Rolling, []string{scheduled, refused}, nil},
	} {
		u := &model.Upgrade{Phase: c.phase, Transcript: c.lines}
		if got := scheduleIssues(u); !slices.Equal(got, c.want) {
			t.Errorf("%s, %q: %q, want %q", c.phase, c.lines, got, c.want)
		}
	}
}

func TestWhyAScheduleIsDropped(t *testing.T) {
	u := &model.Upgrade{Phase: model.Staged, Transcript: []string{"1 scheduled by admin: at 2"}}
	if got := tooLate(u, noon()); got != "it could not start within 15m of 2026-11-21T12:00:00Z: no member led then" {
		t.Error(got)
	}
	u.Transcript = append(u.Transcript, "2 "+noteRefused+"n2: is full", "3 "+noteRefused+"n3: is down")
	if got := tooLate(u, noon()); !strings.HasSuffix(got, ": n3: is down") {
		t.Error(got)
	}
}

func TestPastUpgrade(t *testing.T) {
	u := model.Upgrade{ID: "u", Archive: model.Archive{Digest: "ab", Version: "1.1.0"}, From: "1.0.0", Phase: model.Checking, Stop: true, By: "admin", Runs: 2,
		Staged: "2026-11-21T12:00:00Z", Started: "2026-11-21T12:01:00.5Z", Ended: "2026-11-21T13:01:00.7504Z", Final: "stopped",
		Options: model.Options{Deadline: time.Hour, Exclude: []string{"3"}},
		Members: []model.Progress{
			{ID: "1", Step: model.Done, Attempt: 2, Claimed: "2026-11-21T12:02:00Z", Settled: "2026-11-21T12:02:12.1Z"},
			{ID: "2", Step: model.Broken, Claimed: "2026-11-21T12:03:00Z", Settled: "2026-11-21T12:02:59Z"}, // by another clock
			{ID: "3", Step: model.Excluded},
		}}
	p := pastUpgrade(u, []model.Member{{ID: "1", Name: "n1"}, {ID: "2", Name: "n2"}})
	if p.Status != "failed" || p.Took != "1h0m0.25s" || p.Archive != "sha256:ab" || p.From != "1.0.0" || p.To != "1.1.0" || p.Runs != 2 || p.Options.Deadline != "1h" {
		t.Errorf("%+v", p)
	}
	var members []string
	for _, m := range p.Members {
		members = append(members, m.Name+" "+m.Step+" "+m.Out)
	}
	want := []string{"n1 done 12.1s", "n2 failed 0s", "3 excluded "}
	if !slices.Equal(members, want) || !slices.Equal(p.Options.Exclude, []string{"3"}) {
		t.Errorf("%q, without %v, want %q", members, p.Options.Exclude, want)
	}
}

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func TestDataIsToldWhenItsStateChangesAndAtMostEveryFewLooks(t *testing.T) {
	running := func(percent int) model.MigrationReport {
		return model.MigrationReport{State: dataRunning, MigrationCount: model.MigrationCount{Percent: percent},
			Migrations: []model.MigrationProgress{{Name: "a", State: dataRunning, MigrationCount: model.MigrationCount{Total: 100, Done: int64(percent), Percent: percent, ETA: -1}}}}
	}
	var m meter
	var told []string
	see := func(r model.MigrationReport) {
		if line := m.line(r); line != "" {
			told = append(told, line)
		}
	}
	for percent := range 2*meterLooks + 1 {
		see(running(percent))
	}
	for range 3 * meterLooks {
		see(running(2 * meterLooks)) // a slow one is not told again and again
	}
	see(model.MigrationReport{State: "paused", What: "paused by admin"})
	see(model.MigrationReport{State: "paused", What: "paused by admin"})
	see(model.MigrationReport{State: "paused", What: "paused by somebody else"})
	see(running(2 * meterLooks))
	want := []string{
		"data: a: 0 of 100, 0 %", "data: a: 6 of 100, 6 %", "data: a: 12 of 100, 12 %",
		"data: paused by admin", "data: paused by somebody else", "data: a: 12 of 100, 12 %",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTimeIsLeftAsPeopleSayIt(t *testing.T) {
	for seconds, want := range map[int64]string{-1: "", 0: "0s", 59: "59s", 60: "1m 0s", 150: "2m 30s", 7200: "2h 0m", 7261: "2h 1m", 200000: "2d 7h"} {
		if got := left(seconds); got != want {
			t.Errorf("%d: %q, want %q", seconds, got, want)
		}
	}
}

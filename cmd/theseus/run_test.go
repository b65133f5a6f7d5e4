package main

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/theseusd/theseus/client"
)

func TestWhenAStartIsToBe(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The night in which the clock goes back.
	now := time.Date(2026, 10, 24, 22, 30, 15, 0, berlin)
	for at, want := range map[string]string{
		"22:31":                "2026-10-24T22:31:00+02:00",
		"22:30":                "2026-10-25T22:30:00+01:00", // tomorrow
		"04:00":                "2026-10-25T04:00:00+01:00",
		"2026-12-01 00:15":     "2026-12-01T00:15:00+01:00",
		"2026-12-01T00:15:00Z": "2026-12-01T00:15:00Z",
	} {
		got, err := parseAt(at, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v, want %s", at, got.Format(time.RFC3339), err, want)
		}
	}
	for _, at := range []string{"22", "10pm", "2026-12-01", "2026-12-01T00:15", "24:00", "-1:00"} {
		if got, err := parseAt(at, now); err == nil {
			t.Errorf("%s is read as %s", at, got)
		}
	}
}

func TestAWindowTravelsWithItsZone(t *testing.T) {
	here := func() (string, bool) { return "Europe/Berlin", true }
	nowhere := func() (string, bool) { return "", false }
	for window, want := range map[string]string{
		"22:00-04:00":                          "22:00-04:00 Europe/Berlin",
		"Mon-Fri 22:00-04:00":                  "Mon-Fri 22:00-04:00 Europe/Berlin",
		"Mon 22:00-04:00 UTC;Tue  22:00-04:00": "Mon 22:00-04:00 UTC; Tue 22:00-04:00 Europe/Berlin",
		"nonsense":                             "nonsense",
	} {
		o := client.RunOptions{}
		if err := schedule(&o, "", window, time.Now(), here); err != nil || *o.Window != want {
			t.Errorf("%s: %v, %v, want %s", window, *o.Window, err, want)
		}
	}
	o := client.RunOptions{}
	if err := schedule(&o, "", "22:00-04:00", time.Now(), nowhere); err == nil || o.Window != nil {
		t.Errorf("without a zone: %v, %v", o.Window, err)
	}
	if err := schedule(&o, "", "22:00-04:00 UTC", time.Now(), nowhere); err != nil {
		t.Error(err)
	}
}

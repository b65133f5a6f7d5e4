package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func at(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

func TestTheLongestGapCountsBothEndsAndNothingOutside(t *testing.T) {
	moments := []time.Time{at(1), at(10), at(12), at(19), at(90)}
	for _, c := range []struct{ from, to, want int }{
		{10, 20, 7},  // between 12 and 19
		{5, 12, 5},   // before the first
		{10, 40, 21}, // after the last: at 90 is outside
		{40, 50, 10}, // nothing at all
	} {
		if got := longestGap(moments, at(c.from), at(c.to)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("longest gap from %d to %d: got %s, want %d ms", c.from, c.to, got, c.want)
		}
	}
}

func TestTheClusterStallsOnlyWhileNobodyIsAcknowledged(t *testing.T) {
	ws := &writers{each: []*writer{{acked: []time.Time{at(0), at(30)}}, {acked: []time.Time{at(10), at(20)}}}}
	cluster, worst := ws.stall(at(0), at(30))
	if cluster != 10*time.Millisecond || worst != 30*time.Millisecond {
		t.Errorf("got %s and %s, want 10ms and 30ms", cluster, worst)
	}
}

func TestMomentsComeFromTheTranscript(t *testing.T) {
	transcript := []string{
		"2026-01-02T03:04:05.5Z n1: its turn, attempt 1",
		"2026-01-02T03:04:06.25Z n1: claimed",
		"2026-01-02T03:04:07Z n2: claimed",
	}
	got, err := momentsOf(transcript, ": claimed")
	if err != nil || len(got) != 2 || got[1].Sub(got[0]) != 750*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := momentsOf(transcript, ": done"); err == nil {
		t.Error("a moment that is not told of was found")
	}
}

func TestAMomentComesFromTheLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	lines := "time=2026-01-02T03:04:05.678Z level=INFO msg=serving\n" +
		"time=2026-01-02T03:04:06.789Z level=INFO msg=\"verified an upload\" digest=00\n"
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := loggedAt(log, "verified an upload")
	if want := time.Date(2026, 1, 2, 3, 4, 6, 789e6, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := loggedAt(log, "dropped an archive"); err == nil {
		t.Error("a message that is not there was found")
	}
}

func TestANumberThatMissesItsAimIsMarked(t *testing.T) {
	var tab table
	tab.aim("met", "%.0f ms", 20, 20)
	tab.aim("missed", "%.0f ms", 21, 20)
	tab.floor("low", "%.2f", 0.79, 0.8)
	var out strings.Builder
	tab.print(&out)
	for _, line := range strings.Split(out.String(), "\n") {
		marked := strings.Contains(line, "over the aim") || strings.Contains(line, "under the aim")
		wanted := strings.Contains(line, "missed") || strings.Contains(line, "low")
		if marked != wanted {
			t.Errorf("marked %v, want %v: %s", marked, wanted, line)
		}
	}
}

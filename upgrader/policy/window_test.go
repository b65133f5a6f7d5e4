package policy

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func window(t *testing.T, text string) Window {
	t.Helper()
	w, err := ParseWindow(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// 2026-11-21 is a Saturday. Clocks in Berlin go forward on 2026-03-29 at 02:00
// (01:00Z) and back on 2026-10-25 at 03:00 (01:00Z).
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		window, at, next, until string // until "": closed
	}{
		{"22:00-04:00", "2026-11-21T21:59:59Z", "2026-11-21T22:00:00Z", ""},
		{"22:00-04:00", "2026-11-21T22:00:00Z", "2026-11-21T22:00:00Z", "2026-11-22T04:00:00Z"},
		{"22:00-04:00", "2026-11-22T03:59:59Z", "2026-11-22T03:59:59Z", "2026-11-22T04:00:00Z"},
		{"22:00-04:00", "2026-11-22T04:00:00Z", "2026-11-22T22:00:00Z", ""},
		{"10:00:05-10:00:10 UTC", "2026-11-21T10:00:04Z", "2026-11-21T10:00:05Z", ""},
		{"10:00:05-10:00:10 UTC", "2026-11-21T10:00:09Z", "2026-11-21T10:00:09Z", "2026-11-21T10:00:10Z"},

		{"Mon-Fri 22:00-04:00", "2026-11-21T03:00:00Z", "2026-11-21T03:00:00Z", "2026-11-21T04:00:00Z"}, // Friday's
		{"Mon-Fri 22:00-04:00", "2026-11-21T22:00:00Z", "2026-11-23T22:00:00Z", ""},
		{"fri-mon 01:00-02:00", "2026-11-24T01:30:00Z", "2026-11-27T01:00:00Z", ""},
		{"Sat,Sun 01:00-02:00; Wed 12:00-13:00", "2026-11-22T03:00:00Z", "2026-11-25T12:00:00Z", ""},
		{"Sat 01:00-02:00", "2026-11-21T02:00:00Z", "2026-11-28T01:00:00Z", ""},
		{"22:00-24:00;00:00-02:00", "2026-11-21T23:00:00Z", "2026-11-21T23:00:00Z", "2026-11-22T02:00:00Z"},
		{"01:00-03:00;02:00-02:30", "2026-11-21T02:10:00Z", "2026-11-21T02:10:00Z", "2026-11-21T03:00:00Z"},
		{"Sat 00:00-24:00", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z", "2026-11-22T00:00:00Z"},

		{"22:00-04:00 Europe/Berlin", "2026-11-21T20:59:00Z", "2026-11-21T21:00:00Z", ""},
		{"22:00-04:00 Europe/Berlin", "2026-07-01T20:00:00Z", "2026-07-01T20:00:00Z", "2026-07-02T02:00:00Z"},
		{"22:00-04:00 Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T02:00:00Z"}, // an hour less
		{"22:00-04:00 Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T03:00:00Z"}, // an hour more
		{"02:30-05:00 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", ""},                     // opens at the skip
		{"02:10-02:50 Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-30T00:10:00Z", ""},                     // is skipped whole
		{"Sun 02:10-02:50 Europe/Berlin", "2026-03-28T12:00:00Z", "2026-04-05T00:10:00Z", ""},
		{"02:30-02:45 Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z"},
		{"02:30-02:45 Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z", ""},                          // the second 02:30
		{"Fri-Sat 20:00-21:00 Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-31T06:00:00Z", ""},                   // had no 30 December
		{"00:00-01:00 America/Sao_Paulo", "2017-10-15T02:00:00Z", "2017-10-16T02:00:00Z", ""},                      // skips midnight
		{"23:00-02:00 America/Sao_Paulo", "2017-10-15T02:30:00Z", "2017-10-15T02:30:00Z", "2017-10-15T04:00:00Z"},  // and so this is an hour less
		{"00:00-24:00 Asia/Kathmandu", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z", "2026-12-06T18:15:00Z"},     // two weeks are enough
		{"12:00-13:00 Pacific/Kiritimati", "2026-11-20T22:30:00Z", "2026-11-20T22:30:00Z", "2026-11-20T23:00:00Z"}, // +14
		{"Fri 12:00-13:00 Pacific/Kiritimati", "2026-11-20T22:30:00Z", "2026-11-26T22:00:00Z", ""},                 // where it is Saturday
		{"Fri 22:00-23:00 Etc/GMT+12", "2026-11-21T10:30:00Z", "2026-11-21T10:30:00Z", "2026-11-21T11:00:00Z"},     // -12
	} {
		w, now := window(t, c.window), at(t, c.at)
		if got := w.Open(now); got != (c.until != "") {
			t.Errorf("%s at %s: open is %t", c.window, c.at, got)
		}
		if got := w.Next(now); !got.Equal(at(t, c.next)) {
			t.Errorf("%s at %s: next %s, want %s", c.window, c.at, got.UTC().Format(time.RFC3339), c.next)
		}
		want := now
		if c.until != "" {
			want = at(t, c.until)
		}
		if got := w.Until(now); !got.Equal(want) {
			t.Errorf("%s at %s: until %s, want %s", c.window, c.at, got.UTC().Format(time.RFC3339), want)
		}
	}
}

func TestWhatIsNoWindow(t *testing.T) {
	for _, text := range []string{"", ";", "22:00", "22:00-", "-04:00", "22:00-22:00", "24:00-01:00", "22-04", "25:00-26:00", "22:00-04:60",
		"1:00-2:00", "22:00-04:00;", "Mon", "Mon-Fri", "Monday 22:00-04:00", "Mon-Fry 22:00-04:00", "Mon- 22:00-04:00", "22:00-04:00 UTC x", ",Mon 22:00-04:00",
		"22:00-04:00 Local", "22:00-04:00 Europe/Nowhere", "22:00-04:00 ../zone", "22:00-04:00 +01:00", "22:00 - 04:00", "22:00-04:00 Mon-Fri"} {
		if w, err := ParseWindow(text); err == nil {
			t.Errorf("%q is read as %+v", text, w)
		}
	}
}

func TestTheZeroWindowIsNeverOpen(t *testing.T) {
	now := time.Now()
	if w := (Window{}); w.Open(now) || !w.Next(now).IsZero() || !w.Until(now).Equal(now) {
		t.Error("the zero Window opens")
	}
}

func windows() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		days := rapid.SampledFrom([]string{"", "Mon-Fri ", "Sat,Sun ", "Sun ", "Wed-Wed ", "Fri-Tue "})
		zone := rapid.SampledFrom([]string{"", " UTC", " Europe/Berlin", " America/Sao_Paulo", " Australia/Lord_Howe", " Pacific/Apia", " America/New_York", " Africa/Casablanca"})
		clock := func(label string) string {
			s := rapid.OneOf(rapid.IntRange(0, day-1), rapid.SampledFrom([]int{0, 3600, 7200, 9000, 10800, day - 1})).Draw(t, label)
			return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
		}
		from, to := clock("from"), clock("to")
		if from == to {
			to = "24:00"
		}
		one := days.Draw(t, "days") + from + "-" + to + zone.Draw(t, "zone")
		if rapid.Bool().Draw(t, "another") {
			one += ";" + days.Draw(t, "days") + "12:00-12:30" + zone.Draw(t, "zone")
		}
		return one
	})
}

// moments lie around the changes of clocks often.
func moments() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		base := rapid.OneOf(
			rapid.Int64Range(1_300_000_000, 2_000_000_000),
			rapid.SampledFrom([]int64{1774746000, 1792890000, 1325239200, 1508032800, 1775314800}), // see TestWindows
		).Draw(t, "base")
		return time.Unix(base+rapid.Int64Range(-90_000, 90_000).Draw(t, "off"), 0)
	})
}

func TestAWindowOpensWhenItSaysAndNotBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, now := windows().Draw(t, "window"), moments().Draw(t, "now")
		w, err := ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		next, until := w.Next(now), w.Until(now)
		if next.Before(now) || !w.Open(next) || w.Open(now) != next.Equal(now) {
			t.Fatalf("%s at %s: next is %s, open then: %t", text, now.UTC(), next.UTC(), w.Open(next))
		}
		if !next.Equal(now) {
			if before := between(t, now, next); w.Open(before) {
				t.Fatalf("%s is open at %s, before its next opening %s", text, before.UTC(), next.UTC())
			}
		}
		if w.Open(now) != until.After(now) {
			t.Fatalf("%s at %s: until %s", text, now.UTC(), until.UTC())
		}
		if until.After(now) {
			if while := between(t, now, until); !w.Open(while) {
				t.Fatalf("%s is closed at %s, before it closes at %s", text, while.UTC(), until.UTC())
			}
			if w.Open(until) && until.Before(now.AddDate(0, 0, ahead)) {
				t.Fatalf("%s is open at %s, when it closes", text, until.UTC())
			}
		}
	})
}

// between is a moment from a on and before b.
func between(t *rapid.T, a, b time.Time) time.Time {
	return a.Add(time.Duration(rapid.Int64Range(0, int64(b.Sub(a))-1).Draw(t, "between")))
}

// An ordinary day has no surprises: the clock decides.
func TestInUTCAWindowIsWhatItsClockSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.IntRange(0, day-1).Draw(t, "from"), rapid.IntRange(0, day-1).Draw(t, "to")
		if from == to {
			return
		}
		text := time.Unix(int64(from), 0).UTC().Format("15:04:05") + "-" + time.Unix(int64(to), 0).UTC().Format("15:04:05")
		w, err := ParseWindow(text)
		if err != nil {
			t.Fatal(err)
		}
		now := moments().Draw(t, "now")
		clock := int(now.Unix() % day)
		want := from <= clock && clock < to
		if from > to {
			want = clock >= from || clock < to
		}
		if got := w.Open(now); got != want {
			t.Fatalf("%s at %s: open is %t", text, now.UTC(), got)
		}
	})
}

package policy

import (
	"fmt"
	"strings"
	"time"
)

// Window is the times at which members may go out of service. A window opens and
// closes by the wall clock of its zone: a time that the clock skips in spring is
// the moment of the skip, one that comes twice in autumn is the first of the two.
// The zero Window is never open; make one with ParseWindow.
type Window struct{ parts []part }

// part is one stretch of the clock, on some days of the week.
type part struct {
	days     [7]bool // of the opening, by time.Weekday
	from, to int     // seconds after the midnight before the opening
	zone     *time.Location
}

// ParseWindow reads windows separated by semicolons, each written
// [DAYS ]HH:MM[:SS]-HH:MM[:SS][ ZONE]. DAYS are as in Mon-Fri or Sat,Sun and are
// those of the opening; none is every day. A window may go over midnight. ZONE
// is a name of the IANA time zone database; none is UTC.
func ParseWindow(text string) (Window, error) {
	var w Window
	for _, one := range strings.Split(text, ";") {
		p, err := parsePart(strings.Fields(one))
		if err != nil {
			return Window{}, fmt.Errorf("window %q: %w; write it as 22:00-04:00, or Mon-Fri 22:00-04:00 Europe/Berlin", strings.TrimSpace(one), err)
		}
		w.parts = append(w.parts, p)
	}
	return w, nil
}

func parsePart(words []string) (p part, err error) {
	p = part{days: everyDay(), zone: time.UTC}
	if len(words) > 0 && !strings.Contains(words[0], ":") {
		if p.days, err = parseDays(words[0]); err != nil {
			return p, err
		}
		words = words[1:]
	}
	if len(words) == 0 || len(words) > 2 {
		return p, fmt.Errorf("want days, times and a zone, of which only the times must be there")
	}
	if p.from, p.to, err = parseTimes(words[0]); err != nil || len(words) == 1 {
		return p, err
	}
	p.zone, err = parseZone(words[1])
	return p, err
}

func everyDay() [7]bool { return [7]bool{true, true, true, true, true, true, true} }

func parseDays(text string) (days [7]bool, err error) {
	for _, one := range strings.Split(text, ",") {
		first, last, several := strings.Cut(one, "-")
		if !several {
			last = first
		}
		from, err := parseDay(first)
		if err != nil {
			return days, err
		}
		to, err := parseDay(last)
		if err != nil {
			return days, err
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func parseDay(text string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, d.String()[:3]) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q is no day (Mon, Tue, Wed, Thu, Fri, Sat, Sun)", text)
}

const (
	day    = 24 * 60 * 60 // seconds on the clock
	longer = 26 * time.Hour
)

// parseTimes answers an end after its beginning: one over midnight counts on.
func parseTimes(text string) (from, to int, err error) {
	first, last, _ := strings.Cut(text, "-")
	if from, err = parseClock(first); err != nil {
		return 0, 0, err
	}
	if to, err = parseClock(last); err != nil {
		return 0, 0, err
	}
	switch {
	case from == day:
		return 0, 0, fmt.Errorf("it can open at 00:00 and not at 24:00")
	case from == to:
		return 0, 0, fmt.Errorf("it closes when it opens; a whole day is 00:00-24:00")
	case to < from:
		to += day
	}
	return from, to, nil
}

func parseClock(text string) (int, error) {
	if text == "24:00" {
		return day, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		t, err := time.Parse(layout, text)
		if err == nil && len(text) == len(layout) {
			return t.Hour()*3600 + t.Minute()*60 + t.Second(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day", text)
}

// parseZone takes no "Local", which would be another one on every member.
func parseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err == nil && name == "Local" {
		err = fmt.Errorf("it differs from machine to machine")
	}
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w: name one such as Europe/Berlin or UTC", name, err)
	}
	return zone, nil
}

// Open says whether w is open at t.
func (w Window) Open(t time.Time) bool { return !w.closes(t).IsZero() }

// closes is the latest end of the parts that are open at t; zero: none is.
func (w Window) closes(t time.Time) (end time.Time) {
	for _, p := range w.parts {
		for offset := -2; offset <= 1; offset++ {
			from, to, opens := p.on(t, offset)
			if opens && !t.Before(from) && t.Before(to) && to.After(end) {
				end = to
			}
		}
	}
	return end
}

// ahead is how many days Next and Until look ahead: two weeks, for a window on
// one day of the week that the clock skips once.
const ahead = 15

// Next is when w is open next: t itself while it is. The zero Window answers the
// zero Time.
func (w Window) Next(t time.Time) (next time.Time) {
	if w.Open(t) {
		return t
	}
	for _, p := range w.parts {
		for offset := -2; offset <= ahead; offset++ {
			from, _, opens := p.on(t, offset)
			if opens && from.After(t) && (next.IsZero() || from.Before(next)) {
				next = from
			}
		}
	}
	return next
}

// Until is when w, open at t, closes, with all parts that follow without a gap.
// One that is open for longer than two weeks is said to close then; one that is
// closed at t closes at t.
func (w Window) Until(t time.Time) time.Time {
	for limit := t.AddDate(0, 0, ahead); t.Before(limit); {
		end := w.closes(t)
		if end.IsZero() {
			break
		}
		t = end
	}
	return t
}

// on is when p opens and closes on the day that lies offset days after that of t;
// opens is false when it does not open that day.
func (p part) on(t time.Time, offset int) (from, to time.Time, opens bool) {
	y, m, d := t.In(p.zone).Date()
	midnight := time.Date(y, m, d+offset, 0, 0, 0, 0, time.UTC) // a calendar without skips
	from = moment(midnight.Add(time.Duration(p.from)*time.Second), p.zone)
	to = moment(midnight.Add(time.Duration(p.to)*time.Second), p.zone)
	return from, to, p.days[midnight.Weekday()] && from.Before(to)
}

// moment is when the clock of zone first shows what clock shows in UTC, or the
// moment when it skips that. time.Date does not say which of two it answers.
func moment(clock time.Time, zone *time.Location) time.Time {
	for t := clock.Add(-longer).In(zone); ; {
		start, end := t.ZoneBounds()
		_, offset := t.Zone()
		at := clock.Add(-time.Duration(offset) * time.Second)
		switch {
		case at.Before(start):
			return start
		case end.IsZero() || at.Before(end):
			return at.In(zone)
		}
		t = end
	}
}

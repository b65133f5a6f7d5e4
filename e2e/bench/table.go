package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table is what one measure prints: each row one number, and the aim for it if
// there is one.
type table struct {
	title string
	rows  []row
}

type row struct{ what, value, verdict string }

func (t *table) add(what, format string, args ...any) {
	t.rows = append(t.rows, row{what: what, value: fmt.Sprintf(format, args...)})
}

// aim adds a number that should be at most limit; unit is a format for both.
func (t *table) aim(what, unit string, got, limit float64) {
	t.judge(what, unit, got, limit, "at most", got <= limit, "over the aim")
}

// floor adds a number that should be at least limit.
func (t *table) floor(what, unit string, got, limit float64) {
	t.judge(what, unit, got, limit, "at least", got >= limit, "under the aim")
}

func (t *table) judge(what, unit string, got, limit float64, side string, met bool, missed string) {
	r := row{what: what, value: fmt.Sprintf(unit, got), verdict: "aim: " + side + " " + strings.TrimSpace(fmt.Sprintf(unit, limit))}
	if !met {
		r.verdict += ", " + missed
	}
	t.rows = append(t.rows, r)
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s (load %s)\n", t.title, load())
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, r := range t.rows {
		fmt.Fprintln(tab, strings.TrimRight("  "+r.what+"\t"+r.value+"\t"+r.verdict, "\t"))
	}
	tab.Flush()
}

// load is what the machine does over the last minute, this run included.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}

// median is the middle of what f finds in each of several runs.
func median[T any](runs []T, f func(T) float64) float64 {
	var xs []float64
	for _, r := range runs {
		xs = append(xs, f(r))
	}
	slices.Sort(xs)
	if n := len(xs); n%2 == 0 {
		return (xs[n/2-1] + xs[n/2]) / 2
	}
	return xs[len(xs)/2]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

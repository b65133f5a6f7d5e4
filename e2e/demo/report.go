package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// report is what was seen of one upgrade.
type report struct {
	before, after e2e.Snapshot
	end           e2e.Status
	tallies       e2e.Tallies
	image         string // of the theseusd of 1.1.0
	lost          error
	looks         int
	two           []string
}

func (r report) print(w io.Writer, c *e2e.Cluster) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "member\tversion\timage\tPID\trequests\tfailed\tout of service\tuntil")
	for _, m := range c.Members {
		was, is, mine := r.before.Members[m.Name], r.after.Members[m.Name], r.tallies.Of(m.API)
		fmt.Fprintf(t, "%s\t%s -> %s\t%s -> %s\t%d -> %d\t%d\t%d\t%s\t%s\n", m.Name, was.Version, is.Version,
			short(was.Image), short(is.Image), was.PID, is.PID, mine.Requests(), mine.Failed(), millis(mine.LongestGap()), mine.GapEnd().UTC().Format("15:04:05.000"))
	}
	t.Flush()
	fmt.Fprintf(w, "\nleader               %s -> %s\n", r.before.Leader, r.after.Leader)
	fmt.Fprintf(w, "requests             %d by %d raw clients that never retry, %d failed\n", r.tallies.Requests(), len(r.tallies), r.tallies.Failed())
	fmt.Fprintf(w, "slowest client       %.0f requests a second\n", r.tallies.SlowestRate())
	fmt.Fprintf(w, "longest write stall  %s\n", millis(r.tallies.LongestStall()))
	fmt.Fprintf(w, "never two out        looked %d times, saw two %d times\n", r.looks, len(r.two))
	fmt.Fprintf(w, "upgrade              %s: %s\n", r.end.Status, r.end.Final)
	fmt.Fprintf(w, "\nOut of service and stall are the longest time between two answers to one client,\nand between two acknowledged writes of one; its own pace is in it: %s and %s.\n", pace, 2*pace)
}

func short(image string) string { return image[:min(len(image), len("sha256:")+8)] }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// broken is every promise that was not kept, or nil.
func (r report) broken(c *e2e.Cluster) error {
	var errs []error
	promise := func(kept bool, format string, args ...any) {
		if !kept {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	promise(r.end.Status == "finished" && r.end.Completed, "the upgrade is %q: %s", r.end.Status, r.end.Final)
	for _, m := range c.Members {
		was, is := r.before.Members[m.Name], r.after.Members[m.Name]
		promise(was.Version == "1.0.0" && is.Version == "1.1.0", "%s went from version %q to %q", m.Name, was.Version, is.Version)
		promise(is.Image == r.image && is.Says == r.image, "%s runs %s and says %s, not %s", m.Name, is.Image, is.Says, r.image)
		promise(is.PID == was.PID, "%s was process %d and is %d", m.Name, was.PID, is.PID)
		gap := r.tallies.Of(m.API).LongestGap()
		promise(gap < maxOut, "%s was out of service for %s", m.Name, gap)
	}
	promise(r.after.Leader != "", "nobody leads")
	promise(r.tallies.Requests() >= minRequests, "only %d requests were made", r.tallies.Requests())
	promise(r.tallies.SlowestRate() >= minRate, "a client made only %.1f requests a second", r.tallies.SlowestRate())
	promise(r.looks > 0 && len(r.two) == 0, "two members were out at once: looked %d times: %q", r.looks, r.two)
	return errors.Join(append(errs, r.failures(), r.lost)...)
}

// failures are the requests that failed, or nil.
func (r report) failures() error {
	var errs []error
	for _, f := range r.tallies.Failures() {
		errs = append(errs, errors.New(f.String()))
	}
	if n := r.tallies.Failed(); n > 0 {
		errs = append(errs, fmt.Errorf("%d requests failed", n))
	}
	return errors.Join(errs...)
}

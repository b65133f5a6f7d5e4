package policy

import (
	"strings"
	"testing"
)

// The rows of the version tables that the rules were taken from, and of our own.
func TestEveryRowOfTheVersionTables(t *testing.T) {
	rows := []struct {
		what, from, to string
		options        Options
		allowed        bool
		rule, hop      string
	}{
		// Docker Trusted Registry and Mirantis MSR share one table.
		{"patch upgrade", "2.6.0", "2.6.1", Options{}, true, Patch, ""},
		{"skip patch version", "2.6.0", "2.6.2", Options{}, true, Patch, ""},
		{"patch downgrade", "2.6.2", "2.6.1", Options{}, false, Downgrade, ""},
		{"minor upgrade", "2.6.7", "2.7.0", Options{}, true, Minor, ""},
		{"minor upgrade, any patch to any patch", "2.6.0", "2.7.9", Options{}, true, Minor, ""},
		{"skip minor version", "2.6.7", "2.8.0", Options{}, false, SkipsMinor, "2.7.x"},
		{"skip many minor versions", "2.6.7", "2.20.1", Options{}, false, SkipsMinor, "2.7.x"},
		{"minor downgrade", "2.7.0", "2.6.9", Options{}, false, Downgrade, ""},
		{"skip major version", "1.4.2", "3.0.0", Options{}, false, SkipsMajor, "2.0.x"},
		{"major downgrade", "3.0.0", "2.9.9", Options{}, false, Downgrade, ""},
		{"major upgrade", "1.4.2", "2.0.0", Options{}, true, Major, ""},
		{"major upgrade skipping minor version", "1.4.2", "2.5.2", Options{}, false, MajorSkipsMinor, "2.0.x"},
		{"major upgrade to one minor above", "1.4.2", "2.1.0", Options{}, false, MajorSkipsMinor, "2.0.x"},

		// MSR's own text: 2.7 first to 2.8, then to 2.9.3.
		{"MSR, first to 2.8", "2.7.8", "2.8.0", Options{}, true, Minor, ""},
		{"MSR, then to 2.9.3", "2.8.0", "2.9.3", Options{}, true, Minor, ""},
		{"MSR, not straight to 2.9.3", "2.7.8", "2.9.3", Options{}, false, SkipsMinor, "2.8.x"},

		// Red Hat Quay's hops.
		{"Quay, over the major", "2.9.5", "3.0.5", Options{}, true, Major, ""},
		{"Quay, not past the earliest minor", "2.9.5", "3.1.3", Options{}, false, MajorSkipsMinor, "3.0.x"},
		{"Quay, each minor in its turn", "3.0.5", "3.1.3", Options{}, true, Minor, ""},
		{"Quay, each minor in its turn", "3.1.3", "3.2.2", Options{}, true, Minor, ""},
		{"Quay, each minor in its turn", "3.2.2", "3.3.4", Options{}, true, Minor, ""},
		{"Quay, each minor in its turn", "3.3.4", "3.4.7", Options{}, true, Minor, ""},
		{"Quay, a skip that only an exception allows", "3.3.4", "3.6.0", Options{}, false, SkipsMinor, "3.4.x"},

		// Barriers.
		{"below the barrier", "2.7.8", "3.0.5", Options{Lowest: "2.9.5"}, false, Barrier, "2.8.x"},
		{"one hop below the barrier", "2.8.0", "3.0.5", Options{Lowest: "2.9.5"}, false, Barrier, "2.9.5"},
		{"a patch below the barrier", "2.9.4", "3.0.5", Options{Lowest: "2.9.5"}, false, Barrier, "2.9.5"},
		{"a pre-release of the barrier", "2.9.5-rc.1", "3.0.5", Options{Lowest: "2.9.5"}, false, Barrier, "2.9.5"},
		{"at the barrier", "2.9.5", "3.0.5", Options{Lowest: "2.9.5"}, true, Major, ""},
		{"past the barrier", "2.9.6", "3.0.5", Options{Lowest: "v2.9.5"}, true, Major, ""},
		{"a barrier opens nothing", "2.9.5", "3.1.0", Options{Lowest: "2.9.5"}, false, MajorSkipsMinor, "3.0.x"},
		{"a barrier among patches", "1.1.0", "1.1.4", Options{Lowest: "1.1.3"}, false, Barrier, "1.1.3"},
		{"a barrier in the major before the last", "1.9.0", "3.0.0", Options{Lowest: "2.0.3"}, false, Barrier, "2.0.3"},
		{"a barrier that cannot be read", "1.1.0", "1.1.4", Options{Lowest: "1.1"}, false, Unreadable, ""},
		{"a barrier does not stop what is there", "1.1.0", "1.1.0", Options{Lowest: "1.2.0", SameImage: true}, true, SameImage, ""},
		{"a barrier is not forced", "1.1.0", "1.1.4", Options{Lowest: "1.1.3", Force: true, Again: true}, false, Barrier, "1.1.3"},

		// Exceptions.
		{"Quay, an exception from 3.3", "3.3.4", "3.6.0", Options{Skips: []string{"3.3", "3.4"}}, true, Exception, ""},
		{"Quay, an exception from 3.4", "3.4.7", "3.6.0", Options{Skips: []string{"3.3", "3.4"}}, true, Exception, ""},
		{"no exception from 3.2", "3.2.2", "3.6.0", Options{Skips: []string{"3.3", "3.4"}}, false, SkipsMinor, "3.3.x"},
		{"an exception that is not needed", "3.5.0", "3.6.0", Options{Skips: []string{"3.5"}}, true, Minor, ""},
		{"an exception over a major", "2.9.5", "3.1.0", Options{Skips: []string{"2.9"}}, true, Exception, ""},
		{"an exception over two majors", "1.9.5", "3.1.0", Options{Skips: []string{"1.9"}}, true, Exception, ""},
		{"an exception does not go down", "3.6.0", "3.3.0", Options{Skips: []string{"3.6"}}, false, Downgrade, ""},
		{"a line that begins alike", "3.30.0", "3.36.0", Options{Skips: []string{"3.3"}}, false, SkipsMinor, "3.31.x"},
		{"a barrier within an exception", "3.3.3", "3.6.0", Options{Skips: []string{"3.3"}, Lowest: "3.3.4"}, false, Barrier, "3.3.4"},
		{"past the barrier, by the exception", "3.3.4", "3.6.0", Options{Skips: []string{"3.3"}, Lowest: "3.3.4"}, true, Exception, ""},

		// The same version.
		{"equal, another image", "1.1.0", "1.1.0", Options{}, false, Equal, ""},
		{"equal, the same image", "1.1.0", "1.1.0", Options{SameImage: true}, true, SameImage, ""},
		{"equal, going on with a failed run", "1.1.0", "1.1.0", Options{Again: true}, true, Again, ""},
		{"equal, forced", "1.1.0", "1.1.0", Options{Force: true}, true, Rebuilt, ""},
		{"build metadata does not count", "1.1.0+a", "1.1.0+b", Options{}, false, Equal, ""},
		{"build metadata makes no higher version", "1.1.0", "1.1.0+later", Options{}, false, Equal, ""},
		{"force opens only the equal row", "1.1.0", "1.3.0", Options{Force: true, Again: true}, false, SkipsMinor, "1.2.x"},
		{"force does not go down", "1.1.0", "1.0.9", Options{Force: true, Again: true}, false, Downgrade, ""},

		// Pre-releases order as semantic versioning says.
		{"pre-release to its release", "1.1.0-rc.1", "1.1.0", Options{}, true, Patch, ""},
		{"release to its pre-release", "1.1.0", "1.1.0-rc.1", Options{}, false, Downgrade, ""},
		{"numeric identifiers order as numbers", "1.1.0-rc.9", "1.1.0-rc.10", Options{}, true, Patch, ""},
		{"to a pre-release of the next minor", "1.1.3", "1.2.0-alpha", Options{}, true, Minor, ""},
		{"from a pre-release two minors on", "1.1.0-rc.1", "1.3.0", Options{}, false, SkipsMinor, "1.2.x"},
		{"to a pre-release of the next major", "1.9.3", "2.0.0-rc.1", Options{}, true, Major, ""},
		{"a build without a version of its own", "0.0.0-dev", "1.0.0", Options{}, true, Major, ""},

		// Reading versions.
		{"with v", "v1.0.0", "v1.1.0", Options{}, true, Minor, ""},
		{"with v on one side", "v1.1.0", "1.1.0", Options{}, false, Equal, ""},
		{"two numbers", "1.0", "1.1.0", Options{}, false, Unreadable, ""},
		{"target of two numbers", "1.0.0", "1.1", Options{}, false, Unreadable, ""},
		{"leading zero", "1.0.0", "1.01.0", Options{}, false, Unreadable, ""},
		{"empty", "", "1.1.0", Options{}, false, Unreadable, ""},
		{"two v", "1.0.0", "vv1.1.0", Options{}, false, Unreadable, ""},
		{"unreadable, even if the image is the same", "1.0", "1.0", Options{SameImage: true}, false, Unreadable, ""},
	}
	for _, r := range rows {
		v := Decide(r.from, r.to, r.options)
		if v.Allowed != r.allowed || v.Rule != r.rule || v.Hop != r.hop {
			t.Errorf("%s: %q → %q %+v: got allowed %v by %s, hop %q; want %v by %s, hop %q",
				r.what, r.from, r.to, r.options, v.Allowed, v.Rule, v.Hop, r.allowed, r.rule, r.hop)
		}
		if v.Skip != (r.rule == SameImage) {
			t.Errorf("%s: skip is %v", r.what, v.Skip)
		}
		if v.Reason == "" || !strings.Contains(v.Reason, r.hop) {
			t.Errorf("%s: the reason %q does not name the hop %q", r.what, v.Reason, r.hop)
		}
	}
}

func TestARefusalSaysWhichHopToTakeFirst(t *testing.T) {
	got := Decide("1.0.0", "1.2.0", Options{}).Reason
	if want := "1.0.0 → 1.2.0 skips a minor version: go to 1.1.x first"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestABarrierSaysHowToGetThere(t *testing.T) {
	got := Decide("2.7.8", "3.0.5", Options{Lowest: "2.9.5"}).Reason
	if want := "2.7.8 → 3.0.5: the package asks for 2.9.5 at least: go to 2.8.x first, and on to 2.9.5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAMajorUpgradeWarnsOfALaterReleaseOfTheOldMajor(t *testing.T) {
	rows := []struct {
		known []string
		want  string
	}{
		{nil, ""},
		{[]string{"1.4.2", "1.3.9", "2.0.1", "nonsense"}, ""},
		{[]string{"1.5.0-rc.1"}, ""},
		{[]string{"1.4.3", "v1.9.5", "1.9.4", "3.0.0"}, "1.9.5 is a later release of major version 1: it is wiser to go there first"},
	}
	for _, r := range rows {
		if got := Decide("1.4.2", "2.0.0", Options{Known: r.known}); !got.Allowed || got.Warn != r.want {
			t.Errorf("known %q: allowed %v, warning %q, want %q", r.known, got.Allowed, got.Warn, r.want)
		}
	}
	over := Options{Known: []string{"1.9.5"}, Skips: []string{"1.4"}}
	if v := Decide("1.4.2", "2.5.0", over); !v.Allowed || v.Warn != rows[3].want {
		t.Errorf("by an exception: %+v", v)
	}
	if v := Decide("1.4.2", "1.6.0", over); !v.Allowed || v.Warn != "" {
		t.Errorf("by an exception within the major: %+v", v)
	}
	if v := Decide("1.4.2", "1.5.0", Options{Known: []string{"1.9.5"}}); v.Warn != "" {
		t.Errorf("a minor upgrade warns: %q", v.Warn)
	}
}

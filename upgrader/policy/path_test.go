package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// named are releases of which nothing but the version is known.
func named(versions ...string) (all []Release) {
	for _, v := range versions {
		all = append(all, Release{Version: v, Source: "named"})
	}
	return all
}

func TestPaths(t *testing.T) {
	quay := named("3.0.5", "3.1.0", "3.1.3", "3.2.2", "3.2.1", "3.3.4", "3.4.1", "3.5.0-rc.1")
	six := Release{Version: "3.6.0", Skips: []string{"3.3", "3.4"}}
	three := Release{Version: "3.0.5", Lowest: "2.9.5"}
	for _, c := range []struct {
		what, from, to string
		known          []Release
		want           string // the hops, and in brackets the rule where it is not minor
	}{
		{"Quay's hops", "3.0.5", "3.4.1", quay, "3.1.3 3.2.2 3.3.4 3.4.1"},
		{"from a version that is not known", "3.0.9", "3.2.2", quay, "3.1.3 3.2.2"},
		{"over the major, to the latest of the earliest minor", "2.9.5", "3.1.3", quay, "3.0.5[major] 3.1.3"},
		{"a target that is not known", "3.2.2", "3.4.0", quay, "3.3.4 3.4.0"},
		{"a patch", "3.1.0", "3.1.3", quay, "3.1.3[patch]"},
		{"no patch on the way", "3.1.0", "3.2.2", quay, "3.2.2"},
		{"a pre-release as the target", "3.3.4", "3.5.0-rc.1", quay, "3.4.1 3.5.0-rc.1"},
		{"nothing known", "3.0.5", "3.4.1", nil, "3.1.x 3.2.x 3.3.x 3.4.1"},
		{"nothing known, over majors", "1.4.2", "3.1.0", nil, "2.0.x[major] 3.0.x[major] 3.1.0"},
		{"one line is not known", "3.0.5", "3.4.1", named("3.1.3", "3.3.4"), "3.1.3 3.2.x 3.3.4 3.4.1"},
		{"what cannot be read is nothing", "3.0.5", "3.2.0", named("3.1", "3.1.3"), "3.1.3 3.2.0"},
		{"with v", "v3.0.5", "v3.2.0", named("v3.1.3"), "3.1.3 3.2.0"},
		{"an exception", "3.2.2", "3.6.0", append(quay, six), "3.3.4 3.6.0[exception]"},
		{"straight by an exception", "3.4.1", "3.6.0", append(quay, six), "3.6.0[exception]"},
		{"no exception from there", "3.5.1", "3.6.0", append(quay, six), "3.6.0"},
		{"an exception on the way", "3.3.4", "3.7.0", append(quay, six), "3.6.0[exception] 3.7.0"},
		{"a barrier", "2.8.0", "3.0.5", []Release{three}, "2.9.5 3.0.5[major]"},
		{"a barrier far away", "2.6.1", "3.1.0", []Release{three}, "2.7.x 2.8.x 2.9.5 3.0.5[major] 3.1.0"},
		{"a later release than the barrier is known", "2.8.0", "3.0.5", append(named("2.9.7"), three), "2.9.7 3.0.5[major]"},
		{"an earlier release than the barrier is known", "2.8.0", "3.0.5", append(named("2.9.4"), three), "2.9.5 3.0.5[major]"},
		{"past the barrier", "2.9.6", "3.0.5", append(named("2.9.7"), three), "3.0.5[major]"},
		{"round a release behind a barrier", "3.0.5", "3.2.0", append(named("3.1.3"), Release{Version: "3.1.9", Lowest: "3.0.7"}), "3.1.3 3.2.0"},
		{"no barrier where none is needed", "3.0.5", "3.2.0", append(named("3.1.3"), Release{Version: "3.1.9", Lowest: "3.0.2"}), "3.1.9 3.2.0"},
		{"a known release rather than one that another hop asks for", "3.0.5", "3.3.0", append(named("3.1.3", "3.2.2"), Release{Version: "3.3.0", Lowest: "3.1.5"}), "3.1.3 3.2.2 3.3.0"},
		{"no pre-release on the way", "3.4.1", "3.6.0", quay, "3.5.x 3.6.0"},
		{"the target as another build", "3.1.3", "3.2.0", named("3.2.0+b"), "3.2.0"},
		{"as large as versions get", "1.18446744073709551614.0", "1.18446744073709551615.0", nil, "1.18446744073709551615.0"},
		{"an old major with a far line", "1.0.0", "2.0.1", named("1.5000.0"), "2.0.1[major]"},
	} {
		w, err := Path(c.from, c.to, c.known)
		if got := spelled(w); err != nil || got != c.want {
			t.Errorf("%s: %s → %s: got %q, want %q, %v", c.what, c.from, c.to, got, c.want, err)
		}
	}
}

func spelled(w Way) string {
	var all []string
	for _, h := range w.Hops {
		text := h.To
		if h.Rule != Minor {
			text += "[" + h.Rule + "]"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestAHopSaysWhyAndWhereItIsKnownFrom(t *testing.T) {
	got, err := Path("2.9.5", "3.1.2", named("3.1.2", "2.10.0"))
	want := Way{
		Hops: []Hop{
			{From: "2.9.5", To: "3.0.x", Rule: Major, Reason: "2.9.5 → 3.0.x is a major upgrade to the earliest minor version"},
			{From: "3.0.x", To: "3.1.2", Rule: Minor, Reason: "3.0.x → 3.1.2 is a minor upgrade, from any patch to any patch", Source: "named"},
		},
		Warn: []string{"2.10.0 is a later release of major version 2: it is wiser to go there first", "no package of 3.0.x is known here: have one before you begin"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if w, err := Path("3.0.5", "3.4.1", named("3.4.1")); err != nil || len(w.Warn) > 0 || w.Hops[3].Source != "named" {
		t.Errorf("nothing known but the target: %+v, %v", w, err)
	}
}

func TestWhereNoWayLeads(t *testing.T) {
	for _, c := range []struct {
		from, to, rule, says string
		known                []Release
	}{
		{"1.2.0", "1.1.0", Downgrade, "goes down", nil},
		{"1.2.0", "1.2.0", Equal, "the same version", nil},
		{"1.2.0", "1.2.0+b", Equal, "the same version", nil},
		{"1.2", "1.3.0", Unreadable, `"1.2"`, nil},
		{"1.2.0", "1.x", Unreadable, `"1.x"`, nil},
		{"1.2.0", "1.999.0", SkipsMinor, "more than 100 release lines", nil},
		{"1.2.0", "18446744073709551615.0.0", SkipsMinor, "more than 100 release lines", nil},
		{"1.2.0", "1.3.0", Unreadable, `"perhaps"`, []Release{{Version: "1.3.0", Lowest: "perhaps"}}},
		{"1.2.0", "1.3.0", Barrier, "asks for 1.3.1", []Release{{Version: "1.3.0", Lowest: "1.3.1"}}},
	} {
		w, err := Path(c.from, c.to, c.known)
		var none *NoWay
		if !errors.As(err, &none) || none.Rule != c.rule || !strings.Contains(none.Reason, c.says) {
			t.Errorf("%s → %s: %+v, %v", c.from, c.to, w, err)
		}
	}
}

func releases() *rapid.Generator[Release] {
	small := func(t *rapid.T, what string) string {
		n := rapid.IntRange(0, 4)
		return fmt.Sprintf("%d.%d.%d", n.Draw(t, what), n.Draw(t, what), n.Draw(t, what))
	}
	return rapid.Custom(func(t *rapid.T) Release {
		r := Release{Version: small(t, "version"), Source: "named"}
		if rapid.IntRange(0, 3).Draw(t, "barred") == 0 {
			r.Lowest = small(t, "lowest")
		}
		if rapid.IntRange(0, 3).Draw(t, "excepted") == 0 {
			r.Skips = []string{fmt.Sprintf("%d.%d", rapid.IntRange(0, 3).Draw(t, "major"), rapid.IntRange(0, 4).Draw(t, "minor"))}
		}
		return r
	})
}

// A line stands for one of its versions: any that fits the hops around it.
func TestEveryHopOfAPathIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOfN(releases(), 0, 8).Draw(t, "known")
		from, to := releases().Draw(t, "from").Version, releases().Draw(t, "to").Version
		w, err := Path(from, to, known)
		if err != nil {
			checkNoWay(t, from, to, known, err)
			return
		}
		at := from
		for _, h := range w.Hops {
			o := Options{}
			if i := slices.IndexFunc(known, func(r Release) bool { return r.Version == h.To }); i >= 0 {
				o.Lowest, o.Skips = known[i].Lowest, known[i].Skips
			}
			if h.From != at || len(w.Hops) > 20 {
				t.Fatalf("%s → %s: hop from %s at %s: %+v", from, to, h.From, at, w)
			}
			if !strings.HasPrefix(h.Reason, h.From+" → "+h.To+" ") {
				t.Fatalf("the reason of %+v speaks of another hop", h)
			}
			v := Decide(strings.ReplaceAll(h.From, "x", "0"), strings.ReplaceAll(h.To, "x", "0"), o)
			if !v.Allowed || v.Rule != h.Rule {
				t.Fatalf("%s → %s: hop %+v is %+v", from, to, h, v)
			}
			at = h.To
		}
		if at != to {
			t.Fatalf("%s → %s ends at %s", from, to, at)
		}
	})
}

// checkNoWay: from a lower version there is always a way, unless a package asks
// for what is not to be had.
func checkNoWay(t *rapid.T, from, to string, known []Release, err error) {
	for _, r := range known {
		if r.Lowest != "" && !Older(r.Lowest, r.Version) {
			return
		}
	}
	if Older(from, to) {
		t.Fatalf("%s → %s: %v", from, to, err)
	}
}

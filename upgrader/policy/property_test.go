package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"pgregory.net/rapid"
)

// versions are small, so that two of them are often neighbours, and now and
// then as large as they can be.
func versions() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		number := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.SampledFrom([]uint64{9, 10, 1<<64 - 2, 1<<64 - 1}))
		pre := rapid.SampledFrom([]string{"", "", "", "-rc.1", "-rc.2", "-alpha"}).Draw(t, "pre-release")
		build := rapid.SampledFrom([]string{"", "", "+a", "+b"}).Draw(t, "build")
		return fmt.Sprintf("%d.%d.%d%s%s", number.Draw(t, "major"), number.Draw(t, "minor"), number.Draw(t, "patch"), pre, build)
	})
}

func options() *rapid.Generator[Options] {
	return rapid.Custom(func(t *rapid.T) Options {
		return Options{Again: rapid.Bool().Draw(t, "again"), Force: rapid.Bool().Draw(t, "force")}
	})
}

func TestNothingAllowedGoesDownOrSkips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := versions().Draw(t, "from"), versions().Draw(t, "to")
		o := options().Draw(t, "options")
		if !Decide(from, to, o).Allowed {
			return
		}
		a, b := semver.MustParse(from), semver.MustParse(to)
		switch {
		case b.LessThan(a):
			t.Fatalf("%s → %s goes down", from, to)
		case b.Equal(a) && !o.Again && !o.Force:
			t.Fatalf("%s → %s is the same version", from, to)
		case b.Major() == a.Major() && b.Minor() > a.Minor() && b.Minor()-a.Minor() > 1:
			t.Fatalf("%s → %s skips a minor version", from, to)
		case b.Major() > a.Major() && b.Major()-a.Major() > 1:
			t.Fatalf("%s → %s skips a major version", from, to)
		case b.Major() > a.Major() && b.Minor() > 0:
			t.Fatalf("%s → %s is not to the earliest minor version", from, to)
		}
	})
}

func TestWhatIsAllowedOneWayIsNotAllowedBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := versions().Draw(t, "from"), versions().Draw(t, "to")
		if Decide(from, to, Options{}).Allowed && Decide(to, from, Options{}).Allowed {
			t.Fatalf("%s and %s lead to each other", from, to)
		}
	})
}

// The advice is good: the hop named is itself allowed, and taking hop after hop
// arrives, unless the way is down or nowhere.
func TestTheHopsNamedLeadToTheTarget(t *testing.T) {
	small := rapid.Custom(func(t *rapid.T) string {
		n := rapid.Uint64Range(0, 4)
		return fmt.Sprintf("%d.%d.%d", n.Draw(t, "major"), n.Draw(t, "minor"), n.Draw(t, "patch"))
	})
	rapid.Check(t, func(t *rapid.T) {
		from, to := small.Draw(t, "from"), small.Draw(t, "to")
		for at, hops := from, 0; ; hops++ {
			v := Decide(at, to, Options{})
			if v.Allowed || v.Rule == Downgrade && at == from || v.Rule == Equal && at == from {
				return
			}
			next := strings.TrimSuffix(v.Hop, "x") + "0"
			if v.Hop == "" || !Decide(at, next, Options{}).Allowed || hops > 20 {
				t.Fatalf("%s → %s: stuck at %s after %d hops with %+v", from, to, at, hops, v)
			}
			at = next
		}
	})
}

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// The rules by name. They are stable: plans and tests speak of them.
const (
	Unreadable      = "unreadable"        // one of the two is not a semantic version
	SameImage       = "same-image"        // runs the target already: skipped
	Patch           = "patch"             // x.y.z to x.y.z', patches may be skipped
	Minor           = "minor"             // x.y to x.(y+1), any patch to any patch
	SkipsMinor      = "skips-minor"       // x.y to x.(y+2) or more
	Major           = "major"             // x to (x+1).0
	MajorSkipsMinor = "major-skips-minor" // x to (x+1).(y≥1)
	SkipsMajor      = "skips-major"       // x to x+2 or more
	Downgrade       = "downgrade"         // anything lower
	Equal           = "equal"             // the same version from another build
	Again           = "again"             // the same, going on with a failed run
	Rebuilt         = "rebuilt"           // the same, forced
	Barrier         = "barrier"           // the package asks for a later version to start from
	Exception       = "exception"         // a skip that the package allows
)

// Options are the facts beside the two versions.
type Options struct {
	SameImage bool // the member runs the very image it would go to
	Again     bool // the run goes on with one that failed
	Force     bool // the operator insists on a rebuilt package of the same version

	// Lowest is the version that the package asks for at least; "" is any. Skips are
	// the release lines, such as 3.3, from which it may be reached though the table
	// says no.
	Lowest string
	Skips  []string

	// Known are the versions known to exist, in any order; they only make warnings.
	Known []string
}

// Verdict is what the rules say about one step.
type Verdict struct {
	Allowed bool
	Skip    bool   // allowed, and there is nothing to do
	Rule    string // the constant of the rule that decided
	Reason  string // for people; a refusal says what to do instead
	Hop     string // of a refusal: the release line to go to first ("1.1.x"), if one helps
	Warn    string // of an allowed step: what would be wiser, or ""
}

// Decide judges the step of one member from the version it runs to another.
// Both are read with or without a leading v. Build metadata does not count and
// pre-releases order as semantic versioning says.
func Decide(from, to string, o Options) Verdict {
	a, err := parse(from)
	if err != nil {
		return refuse(Unreadable, "", "the running version %q cannot be read: %v: it must be a semantic version such as 1.2.3", from, err)
	}
	b, err := parse(to)
	if err != nil {
		return refuse(Unreadable, "", "the target version %q cannot be read: %v: build the package with a semantic version such as 1.2.3", to, err)
	}
	return decide(point{Version: a}, point{Version: b}, o)
}

// point is a version, or the release line that it begins where none of it is known.
type point struct {
	*semver.Version
	line bool
}

func (p point) String() string {
	if p.line {
		return line(p.Major(), p.Minor())
	}
	return p.Version.String()
}

func decide(a, b point, o Options) Verdict {
	if o.SameImage {
		return Verdict{Allowed: true, Skip: true, Rule: SameImage, Reason: fmt.Sprintf("%s is running already, from this very build", a)}
	}
	switch order := b.Compare(a.Version); {
	case order == 0:
		return equal(a, b, o)
	case order < 0:
		return refuse(Downgrade, "", "%s → %s goes down, which is never an upgrade: stage a version above %s", a, b, a)
	}
	if v, barred := barrier(a, b, o.Lowest); barred {
		return v
	}
	v := table(a, b, o)
	if !v.Allowed && slices.Contains(o.Skips, fmt.Sprintf("%d.%d", a.Major(), a.Minor())) {
		v = allow(Exception, "%s → %s skips versions, as the package allows from %s", a, b, line(a.Major(), a.Minor()))
		v.Warn = warning(a, b, o)
	}
	return v
}

// barrier refuses a step from below the version that the package asks for, and
// says how to get there.
func barrier(a, b point, lowest string) (v Verdict, barred bool) {
	if lowest == "" {
		return v, false
	}
	least, err := parse(lowest)
	if err != nil {
		return refuse(Unreadable, "", "%s → %s: the version %q that the package asks for cannot be read: %v: build the package again", a, b, lowest, err), true
	}
	if !a.LessThan(least) {
		return v, false
	}
	there := decide(a, point{Version: least}, Options{})
	if there.Allowed {
		return refuse(Barrier, least.String(), "%s → %s: the package asks for %s at least: go to %s first", a, b, least, least), true
	}
	return refuse(Barrier, there.Hop, "%s → %s: the package asks for %s at least: go to %s first, and on to %s", a, b, least, there.Hop, least), true
}

// table judges a step up by the two versions alone.
func table(a, b point, o Options) Verdict {
	if b.Major() != a.Major() {
		return major(a, b, o)
	}
	return minor(a, b)
}

// Older says whether version a comes before version b; of one that cannot be read
// it is not known.
func Older(a, b string) bool {
	x, errX := parse(a)
	y, errY := parse(b)
	return errX == nil && errY == nil && x.LessThan(y)
}

// Readable says whether a version is one, with or without a leading v.
func Readable(version string) bool {
	_, err := parse(version)
	return err == nil
}

// parse is strict: the library's NewVersion would take "1.2" for 1.2.0.
func parse(text string) (*semver.Version, error) {
	return semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
}

func equal(a, b point, o Options) Verdict {
	switch {
	case o.Again:
		return allow(Again, "%s → %s goes on with a failed run", a, b)
	case o.Force:
		return allow(Rebuilt, "%s → %s replaces a build by another of the same version, as forced", a, b)
	}
	return refuse(Equal, "", "%s → %s is the same version from another build (build metadata does not count): build the package with a higher version", a, b)
}

// minor judges a step up within one major version.
func minor(a, b point) Verdict {
	switch b.Minor() - a.Minor() {
	case 0:
		return allow(Patch, "%s → %s is a patch upgrade; patches may be skipped", a, b)
	case 1:
		return allow(Minor, "%s → %s is a minor upgrade, from any patch to any patch", a, b)
	}
	hop := line(a.Major(), a.Minor()+1)
	return refuse(SkipsMinor, hop, "%s → %s skips a minor version: go to %s first", a, b, hop)
}

// major judges a step up to another major version.
func major(a, b point, o Options) Verdict {
	hop := line(a.Major()+1, 0)
	switch {
	case b.Major()-a.Major() > 1:
		return refuse(SkipsMajor, hop, "%s → %s skips a major version: go to %s first", a, b, hop)
	case b.Minor() != 0:
		return refuse(MajorSkipsMinor, hop, "%s → %s is a major upgrade past the earliest minor version: go to %s first", a, b, hop)
	}
	v := allow(Major, "%s → %s is a major upgrade to the earliest minor version", a, b)
	v.Warn = warning(a, b, o)
	return v
}

// warning tells of a later release of the major version that is left.
func warning(a, b point, o Options) string {
	last := latest(a.Version, o.Known)
	if last == nil || a.Major() == b.Major() {
		return ""
	}
	return fmt.Sprintf("%s is a later release of major version %d: it is wiser to go there first", last, a.Major())
}

// latest is the highest release of a's major version above a among known, or
// nil. Pre-releases are nothing to advise, what cannot be read is passed over.
func latest(a *semver.Version, known []string) *semver.Version {
	best := a
	for _, text := range known {
		v, err := parse(text)
		if err == nil && v.Major() == a.Major() && v.Prerelease() == "" && v.GreaterThan(best) {
			best = v
		}
	}
	if best == a {
		return nil
	}
	return best
}

func line(major, minor uint64) string { return fmt.Sprintf("%d.%d.x", major, minor) }

func allow(rule, format string, args ...any) Verdict {
	return Verdict{Allowed: true, Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

func refuse(rule, hop, format string, args ...any) Verdict {
	return Verdict{Rule: rule, Hop: hop, Reason: fmt.Sprintf(format, args...)}
}

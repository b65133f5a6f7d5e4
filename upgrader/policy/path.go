package policy

import (
	"fmt"
	"math"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// Release is a version that is known to exist, and what its package asks for.
type Release struct {
	Version string
	Lowest  string   // as in Options
	Skips   []string // as in Options
	Source  string   // where it is known from
}

// Hop is one step of a Way.
type Hop struct {
	From, To string // versions, or release lines such as 3.1.x where none is known
	Rule     string // as in Verdict
	Reason   string
	Source   string // of the release that To is; "" if that is not a known one
}

// Way is how to get from one version to another.
type Way struct {
	Hops []Hop
	Warn []string // what would be wiser
}

// NoWay is why there is no way, by one of the rules.
type NoWay struct{ Rule, Reason string }

func (n *NoWay) Error() string { return n.Reason }

// farthest is how many release lines a way may lead over.
const farthest = 100

// Path is the way of the fewest hops. Of those to be had it takes at each hop the
// one to the latest version that is known, and a release line where none is.
// Every hop is one that Decide allows.
func Path(from, to string, known []Release) (Way, error) {
	m, err := draw(from, to, known)
	if err != nil {
		return Way{}, err
	}
	m.measure()
	return m.walk()
}

// node is a version on the map.
type node struct {
	point
	release Release
	known   bool
	left    int // hops to the target; unreached: there is no way from here
}

const unreached = math.MaxInt

// chart is what lies between two versions, from the one to the other in order.
type chart struct {
	nodes  []node
	exists []string // the versions that are known, for warnings
	some   bool     // something beside the target is known
}

// draw puts on the map the versions that are known, those that their packages
// ask for, and the lines between of which there is none.
func draw(from, to string, known []Release) (chart, error) {
	if v := Decide(from, to, Options{}); v.Rule == Unreadable || v.Rule == Downgrade || v.Rule == Equal {
		return chart{}, &NoWay{Rule: v.Rule, Reason: v.Reason}
	}
	a, _ := parse(from) // Decide has read both
	b, _ := parse(to)
	var c chart
	c.nodes = []node{{point: point{Version: a}}, {point: point{Version: b}}}
	for _, r := range known {
		c.add(a, b, r)
	}
	for _, n := range slices.Clone(c.nodes) {
		c.addLowest(a, n)
	}
	if err := c.addLines(a, b); err != nil {
		return chart{}, err
	}
	slices.SortStableFunc(c.nodes, func(x, y node) int { return x.Compare(y.Version) })
	return c, nil
}

// add puts a release on the map if it can be on the way; only the target may be
// a pre-release.
func (c *chart) add(a, b *semver.Version, r Release) {
	v, err := parse(r.Version)
	if err != nil {
		return
	}
	c.exists = append(c.exists, r.Version)
	n := node{point: point{Version: v}, release: r, known: true}
	at := slices.IndexFunc(c.nodes, func(n node) bool { return n.Equal(v) })
	switch {
	case at == 0 || !v.GreaterThan(a) || v.GreaterThan(b):
	case at > 0 && !c.nodes[at].known:
		n.point = c.nodes[at].point
		c.nodes[at] = n
	case at < 0 && v.Prerelease() == "":
		c.nodes, c.some = append(c.nodes, n), true
	}
}

// addLowest puts the version on the map that the package of a release asks for.
func (c *chart) addLowest(a *semver.Version, of node) {
	v, err := parse(of.release.Lowest)
	if err != nil || !v.GreaterThan(a) || !v.LessThan(of.Version) || slices.ContainsFunc(c.nodes, func(n node) bool { return n.Equal(v) }) {
		return
	}
	c.nodes = append(c.nodes, node{point: point{Version: v}})
}

// addLines puts the lines on the map that have to be gone through and of which
// nothing is there: the minor versions up to the last that is needed of each
// major version.
func (c *chart) addLines(a, b *semver.Version) error {
	if b.Major()-a.Major() > farthest {
		return tooFar(a, b)
	}
	for major := a.Major(); ; major++ {
		first := uint64(0)
		if major == a.Major() {
			first = a.Minor()
		}
		last := c.lastMinor(b, major, first)
		if last-first > farthest {
			return tooFar(a, b)
		}
		for i := range last - first + 1 {
			c.addLine(major, first+i)
		}
		if major == b.Major() {
			return nil
		}
	}
}

func tooFar(a, b *semver.Version) error {
	return &NoWay{Rule: SkipsMinor, Reason: fmt.Sprintf("%s → %s leads over more than %d release lines: plan to a version that is nearer", a, b, farthest)}
}

// lastMinor is the highest minor version of a major version that is asked for, by
// the target or a package, but at least least.
func (c *chart) lastMinor(b *semver.Version, major, least uint64) uint64 {
	needed := []*semver.Version{b}
	for _, n := range c.nodes {
		if v, err := parse(n.release.Lowest); err == nil && v.LessThan(n.Version) {
			needed = append(needed, v)
		}
	}
	for _, v := range needed {
		if v.Major() == major {
			least = max(least, v.Minor())
		}
	}
	return least
}

func (c *chart) addLine(major, minor uint64) {
	if slices.ContainsFunc(c.nodes, func(n node) bool { return n.Major() == major && n.Minor() == minor }) {
		return
	}
	c.nodes = append(c.nodes, node{point: point{Version: semver.New(major, minor, 0, "", ""), line: true}})
}

// options are the rules of the package that n is.
func (c *chart) options(n node) Options {
	return Options{Lowest: n.release.Lowest, Skips: n.release.Skips, Known: c.exists}
}

// measure counts the hops from each node to the target, the last one first:
// every hop leads up.
func (c *chart) measure() {
	last := len(c.nodes) - 1
	for i := last - 1; i >= 0; i-- {
		c.nodes[i].left = unreached
		for _, n := range c.nodes[i+1:] {
			if n.left < c.nodes[i].left-1 && decide(c.nodes[i].point, n.point, c.options(n)).Allowed {
				c.nodes[i].left = n.left + 1
			}
		}
	}
}

// walk goes from the first node to the target.
func (c *chart) walk() (w Way, err error) {
	at := c.nodes[0]
	if at.left == unreached {
		return w, c.stuck()
	}
	for at.left > 0 {
		next := c.next(at)
		v := decide(at.point, next.point, c.options(next))
		w.Hops = append(w.Hops, Hop{From: at.String(), To: next.String(), Rule: v.Rule, Reason: v.Reason, Source: next.release.Source})
		if v.Warn != "" {
			w.Warn = append(w.Warn, v.Warn)
		}
		if c.some && next.left > 0 && !next.known {
			w.Warn = append(w.Warn, fmt.Sprintf("no package of %s is known here: have one before you begin", next))
		}
		at = next
	}
	return w, nil
}

// next is the best of the nodes that are one hop nearer to the target: one that
// is known rather than not, and the latest of them.
func (c *chart) next(at node) (best node) {
	for _, n := range c.nodes {
		if n.left != at.left-1 || !n.GreaterThan(at.Version) || !decide(at.point, n.point, c.options(n)).Allowed {
			continue
		}
		if best.Version == nil || n.known || !best.known {
			best = n
		}
	}
	return best
}

// stuck says why no way leads to the target.
func (c *chart) stuck() error {
	first, last := c.nodes[0], c.nodes[len(c.nodes)-1]
	v := decide(first.point, last.point, c.options(last))
	return &NoWay{Rule: v.Rule, Reason: fmt.Sprintf("no way leads from %s to %s over the versions that are known: %s", first, last, v.Reason)}
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// verdict is what a run must come to.
type verdict int

const (
	// recovers: the build is good. It finishes, or it fails because of what was
	// done to it; then it finishes when it is started once more.
	recovers verdict = iota
	// stays: the build is bad. It is refused, or it fails and every member runs the
	// old one; a good build then goes everywhere.
	stays
	// halts: the build is bad in a way that only its work shows. It goes no further
	// than the first member.
	halts
)

// scenario is what one run does, all of it drawn before it begins.
type scenario struct {
	what    string
	leader  int // who leads when it begins
	via     int // who is asked to stage and to start
	starts  int // through how many further members it is started at once
	old     e2e.Build
	next    e2e.Build
	archive func(context.Context, *lab) (string, error) // nil: a package of next
	prepare func(*e2e.Member) error
	between strike // after staging, before the start
	strike  []strike
	early   bool // the strikes begin with the staging
	options string
	verdict verdict

	lossy    bool // the build loses writes: its history proves nothing
	clears   bool // it may end cleared away
	controls bool // it may be left paused or held
	restage  bool // going on takes the archive once more

	moves string // the migration that the package brings; "" is none
}

// kind is a kind of run, drawn as often as its weight says.
type kind struct {
	name   string
	weight int
	draw   func(l *lab, r *rand.Rand, n int, s *scenario)
}

func kinds() []kind {
	return []kind{
		{"crash", 6, drawCrash},
		{"bad-build", 2, drawBad},
		{"bad-elf", 1, drawSpoiled},
		{"partition", 4, drawPartition},
		{"freeze", 3, drawFreeze},
		{"disk-full", 3, drawFull},
		{"flip", 1, drawFlip},
		{"starts", 1, drawStarts},
		{"delete", 3, drawDelete},
		{"control", 3, drawControl},
		{"kill", 3, drawKill},
		{"data", 3, drawData},
		{"mixed", 3, drawMixed},
	}
}

// draw draws run n. The first runs are one of each kind, so that few runs show
// all of them; which fault, whom and when is drawn for these, too.
func (l *lab) draw(r *rand.Rand, n int, only string) (name string, s scenario) {
	k := pick(r, n, only)
	s = scenario{old: v100, next: v110, leader: r.IntN(size), via: r.IntN(size)}
	s.options = fmt.Sprintf(`{"probation":"%ds","deadline":"20s"}`, r.IntN(2))
	if r.IntN(5) == 0 {
		s.options = strings.Replace(s.options, "}", `,"onFailure":"rollback"}`, 1)
	}
	k.draw(l, r, n, &s)
	return k.name, s
}

func pick(r *rand.Rand, n int, only string) kind {
	all := kinds()
	weights := 0
	for _, k := range all {
		if k.name == only {
			return k
		}
		weights += k.weight
	}
	at := r.IntN(weights)
	if n <= len(all) {
		return all[n-1]
	}
	for _, k := range all {
		if at -= k.weight; at < 0 {
			return k
		}
	}
	return all[0]
}

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return (least + time.Duration(r.Int64N(int64(most-least)))).Round(time.Millisecond)
}

// drawMoment: while it is staged, at any time after the start, or when a member
// comes to a step.
func drawMoment(r *rand.Rand, s *scenario) moment {
	switch r.IntN(5) {
	case 0:
		s.early = true
		return moment{after: between(r, 0, 800*time.Millisecond)}
	case 1, 2:
		return moment{after: between(r, 0, 3*time.Second)}
	}
	return moment{step: one(r, way), after: between(r, 0, 300*time.Millisecond)}
}

func drawWho(r *rand.Rand) who { return who{leads: r.IntN(2) == 0, nth: r.IntN(size - 1)} }

func drawCrash(l *lab, r *rand.Rand, n int, s *scenario) {
	point, side, w := one(r, l.points), one(r, []string{"before", "after"}), drawWho(r)
	s.old, s.next = crash100, crash110
	s.what = fmt.Sprintf("%s:%s, %s", point, side, w)
	s.prepare = func(m *e2e.Member) error {
		m.Env = append(m.Env, "THESEUS_CRASH="+point+":"+side, "THESEUS_CRASH_LOG="+deathNote(m))
		return nil
	}
	s.strike = []strike{crash(w, s.leader, between(r, 0, 3*time.Second))}
}

func drawBad(l *lab, r *rand.Rand, n int, s *scenario) {
	fault := one(r, l.faults)
	s.next, s.what, s.verdict = e2e.Build{Version: "1.1.0", Fault: fault}, "FAULT="+fault, stays
	switch fault {
	case "oneway", "schema":
		s.verdict = halts
	case "shadow": // what clients write through its first member is answered and lost: that is the fault
		s.verdict, s.lossy = halts, true
	case "hang-late": // two seconds after it was there; what hangs after its probation is nobody's to put back
		s.options = strings.Replace(s.options, `"probation":"0s"`, `"probation":"5s"`, 1)
		s.options = strings.Replace(s.options, `"probation":"1s"`, `"probation":"5s"`, 1)
	}
}

func drawSpoiled(l *lab, r *rand.Rand, n int, s *scenario) {
	sort := one(r, spoils())
	s.what, s.verdict = string(sort), stays
	s.archive = func(ctx context.Context, l *lab) (string, error) { return l.spoiledArchive(ctx, sort) }
}

func drawPartition(l *lab, r *rand.Rand, n int, s *scenario) {
	at, w, c, long := drawMoment(r, s), drawWho(r), one(r, cuts()), between(r, 300*time.Millisecond, 7*time.Second)
	s.what = fmt.Sprintf("%s %s, %s, for %s", w, c, at, long)
	s.strike = []strike{partition(at, w, c, long)}
}

func drawFreeze(l *lab, r *rand.Rand, n int, s *scenario) {
	at, w, long := drawMoment(r, s), drawWho(r), between(r, 1500*time.Millisecond, 8*time.Second)
	s.what = fmt.Sprintf("%s, %s, for %s", w, at, long)
	s.strike = []strike{freeze(at, w, long)}
}

func drawFull(l *lab, r *rand.Rand, n int, s *scenario) {
	at, nth, long := drawMoment(r, s), r.IntN(size), between(r, 300*time.Millisecond, 5*time.Second)
	dir, which := (*e2e.Member).Data, "data"
	if r.IntN(3) == 0 {
		dir, which = (*e2e.Member).Bin, "binaries"
	}
	s.what = fmt.Sprintf("%s of n%d, %s, for %s", which, nth+1, at, long)
	s.prepare = func(m *e2e.Member) error {
		if m.Name != fmt.Sprintf("n%d", nth+1) {
			return nil
		}
		return small(dir(m))
	}
	s.strike = []strike{full(at, nth, dir, long)}
}

func drawFlip(l *lab, r *rand.Rand, n int, s *scenario) {
	nth, where := r.IntN(size), 0.2+0.6*r.Float64()
	s.what, s.restage = fmt.Sprintf("the archive of n%d at %.2f", nth+1, where), true
	switch r.IntN(3) {
	case 0:
		s.early = true
		s.what += ", on its way"
		s.strike = []strike{flip(nth, where, archives)}
	case 1:
		s.between = flip(nth, where, archives)
	default:
		s.what = fmt.Sprintf("the unpacked binary of n%d at %.2f", nth+1, where)
		s.between = flip(nth, where, unpacked)
	}
}

func drawStarts(l *lab, r *rand.Rand, n int, s *scenario) {
	s.starts = 1 + r.IntN(size-1)
	s.what = fmt.Sprintf("%d at once", s.starts+1)
}

func drawDelete(l *lab, r *rand.Rand, n int, s *scenario) {
	at := drawMoment(r, s)
	if s.early {
		at.after += time.Second
	}
	s.clears, s.what = true, "DELETE "+at.String()
	s.strike = []strike{act(at, r.IntN(size), "DELETE", "/api/v3/system/upgrade/stage")}
}

func drawControl(l *lab, r *rand.Rand, n int, s *scenario) {
	at := drawMoment(r, s)
	var words []string
	for range 1 + r.IntN(4) {
		path := one(r, []string{pausePath, resumePath, rollbackPath})
		s.strike = append(s.strike, act(at, r.IntN(size), "POST", path))
		words = append(words, fmt.Sprintf("%s %s", path[strings.LastIndex(path, "/")+1:], at))
		at = later(r, at)
	}
	s.controls, s.what = true, strings.Join(words, ", ")
	if r.IntN(2) == 0 { // so that the way back stays open long enough
		s.options = strings.Replace(s.options, "}", `,"hold":true}`, 1)
		s.what += ", held"
	}
}

func drawKill(l *lab, r *rand.Rand, n int, s *scenario) {
	at, rest, watchers := drawMoment(r, s), between(r, 0, 2*time.Second), r.IntN(2) == 0
	victims := r.Perm(size)[:1+r.IntN(size)]
	s.what = fmt.Sprintf("%d members, %s, back after %s", len(victims), at, rest)
	s.strike = []strike{kill(at, victims, watchers, rest)}
}

// drawMixed puts two others together.
func drawMixed(l *lab, r *rand.Rand, n int, s *scenario) {
	var words []string
	for range 2 {
		other := *s
		one(r, []func(*lab, *rand.Rand, int, *scenario){drawPartition, drawFreeze, drawControl, drawKill, drawKill})(l, r, n, &other)
		words = append(words, other.what)
		s.strike = append(s.strike, other.strike...)
		s.early, s.controls = s.early || other.early, s.controls || other.controls
	}
	s.what = strings.Join(words, " + ")
}

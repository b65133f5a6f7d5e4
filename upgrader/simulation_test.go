//go:build !race

// The race detector makes it ten times as slow, and it is one goroutine.
package upgrader

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// world is a cluster without network or processes: one store that all members
// read, members that act on it in any order, and faults in between. What a
// member does comes from Next alone.
type world struct {
	t       *rapid.T
	store   *store.Store
	index   uint64
	boots   int
	members map[string]*simulated
	ids     []string
	voters  []string
	left    []string // out of the run, by the operator
	leader  string
	waited  time.Duration
}

type simulated struct {
	id      string
	up      bool
	image   string
	boot    string
	armed   int
	planted bool // the new binary is at its path
	verdict *model.Verdict
	pong    *Pong
	heard   map[string]bool
}

func TestAnyRolloutOfAGoodBuildEndsFinishedWhateverIsKilled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "world")
		if err != nil {
			rt.Fatal(err)
		}
		s, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		w := &world{t: rt, store: s, members: map[string]*simulated{}}
		w.begin(rapid.IntRange(1, 7).Draw(rt, "members"), rapid.IntRange(0, 2).Draw(rt, "observers"), rapid.IntRange(0, 1).Draw(rt, "left out"))
		kills := rapid.IntRange(0, Attempts-1).Draw(rt, "kills")
		for range 4000 {
			if w.upgrade().Phase == model.Finished && w.upgrade().Completed {
				w.checkEnd()
				return
			}
			if kills > 0 && rapid.IntRange(0, 9).Draw(rt, "fault") == 0 {
				kills--
				w.kill(rapid.SampledFrom(w.ids).Draw(rt, "victim"))
			}
			w.move(rapid.SampledFrom(w.ids).Draw(rt, "who"))
			w.checkAlways()
			if w.upgrade().Phase == model.Failed {
				rt.Fatalf("failed: %s", w.upgrade().Final)
			}
		}
		rt.Fatalf("no end: phase %s, turn %+v, members %+v", w.upgrade().Phase, w.upgrade().Turn, w.upgrade().Members)
	})
}

// begin has n voters and observers besides, and leaves the last so many out.
func (w *world) begin(voters, observers, left int) {
	w.apply(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0"}, Admin: model.User{Name: "admin"}})
	for i := range voters + observers {
		m := &simulated{id: fmt.Sprintf("n%d", i+1), up: true, image: oldImage}
		w.boots++
		m.boot = fmt.Sprint("boot", w.boots)
		w.members[m.id] = m
		w.ids = append(w.ids, m.id)
		w.report(m)
	}
	w.voters = w.ids[:voters]
	w.leader = rapid.SampledFrom(w.voters).Draw(w.t, "leader")
	for _, id := range w.ids[max(1, len(w.ids)-left):] {
		if observer := !slices.Contains(w.voters, id); id != w.leader && (observer || voters > 2) { // the rest must be a quorum
			w.left = append(w.left, id)
		}
	}
	u := rollout()
	u.ID, u.Phase, u.Runs = fmt.Sprint("u", w.boots), model.Staged, 0
	staging := model.Staging{ID: u.ID, Archive: u.Archive}
	w.apply(store.OpStageAnnounce, store.StageAnnounce{Staging: staging})
	w.apply(store.OpStageCommit, store.StageCommit{ID: u.ID, Upgrade: *u})
	w.apply(store.OpUpgradeStart, store.UpgradeStart{ID: u.ID, Options: u.Options, Members: plan(w.look(), nil, w.left)})
}

func (w *world) look() picture {
	p, err := (&Upgrader{Config: Config{Store: w.store}}).look()
	if err != nil {
		panic(err)
	}
	return p
}

func (w *world) upgrade() *model.Upgrade { return w.look().upgrade }

func (w *world) apply(op store.Op, body any) error {
	w.index++
	answers := w.store.Apply([]store.Entry{{Index: w.index, Term: 1, Data: store.New(op, body).Encode()}})
	return answers[0].Err()
}

func (w *world) report(m *simulated) {
	version := "1.0.0"
	if m.image == newImage {
		version = "1.1.0"
	}
	w.apply(store.OpMemberReport, store.MemberReport{Member: model.Member{
		ID: m.id, Name: m.id, Version: version, Image: m.image, Platform: "linux/amd64", Boot: m.boot, Verdict: m.verdict}})
}

// quorum: nothing is written without one.
func (w *world) quorum() bool {
	up := 0
	for _, id := range w.voters {
		if w.members[id].up {
			up++
		}
	}
	return up > len(w.voters)/2
}

func (w *world) kill(id string) { w.members[id].up = false }

// move lets one member do one thing: come back if it is down, or what Next says.
func (w *world) move(id string) {
	m := w.members[id]
	if !m.up {
		w.start(m)
		return
	}
	if !w.quorum() {
		return
	}
	if w.leader == "" || !w.members[w.leader].up {
		if !slices.Contains(w.voters, id) {
			return
		}
		w.leader, w.waited = id, 0
	}
	p := w.look()
	if p.members[id].Boot != m.boot {
		w.report(m)
		return
	}
	a := Next(p.upgrade, w.seen(m, p))
	switch {
	case a.Op != "":
		if turn, grants := a.Body.(store.TurnRef); grants && a.Op == store.OpTurnGrant {
			w.checkGrant(m, turn.Member)
		}
		m.heard = nil
		w.apply(a.Op, a.Body) // a conflict is an answer too
	case a.Do != "":
		w.effect(m, a, p)
	case w.leader == id:
		w.waited += time.Second
	}
}

func (w *world) seen(m *simulated, p picture) Seen {
	s := Seen{Me: m.id, Boot: m.boot, Leading: w.leader == m.id, Voters: w.voters, Members: p.members, Open: true,
		Gate: p.cluster.Version, Verdict: m.verdict, Armed: m.armed, Pong: m.pong, Answered: m.heard}
	if t := turnOf(p.upgrade); s.Leading && t != nil && t.Step == model.Probation {
		s.Waited = w.waited
	}
	return s
}

func (w *world) effect(m *simulated, a Action, p picture) {
	up := p.upgrade
	switch a.Do {
	case Check:
		w.apply(store.OpUpgradeChecked, store.UpgradeChecked{ID: up.ID, Run: up.Runs, Member: m.id})
	case Arm:
		m.armed, w.waited = up.Turn.Attempt, 0
	case Drain:
		w.apply(store.OpTurnStep, store.TurnStep{ID: up.ID, Member: m.id, Attempt: up.Turn.Attempt,
			From: model.Draining, To: model.Leaving, Boot: m.boot})
	case Swap:
		w.checkOnlyOneIsOut(m)
		m.planted, m.up = true, false
	case Survey:
		m.heard = map[string]bool{}
		for _, other := range w.members {
			m.heard[other.id] = other.up
		}
	case HandOver:
		if w.members[a.To].up {
			w.leader, w.waited = a.To, 0
		}
	case Ping:
		if w.members[a.To].up {
			m.pong = &Pong{Member: a.To, Boot: w.members[a.To].boot}
		}
	case Verify:
		w.apply(store.OpUpgradeVerified, store.UpgradeMember{ID: up.ID, Member: m.id})
	}
}

// start is a member coming up on whatever binary is at its path.
func (w *world) start(m *simulated) {
	w.boots++
	m.up, m.boot, m.pong = true, fmt.Sprint("boot", w.boots), nil
	if m.planted {
		m.image = newImage
	}
	if w.leader == m.id && len(w.voters) > 1 {
		w.leader = ""
	}
}

func (w *world) checkOnlyOneIsOut(m *simulated) {
	up := w.upgrade()
	if up.Turn == nil || up.Turn.Member != m.id || !up.Turn.Claimed {
		w.t.Fatalf("%s leaves without holding the turn: %+v", m.id, up.Turn)
	}
	if w.leader == m.id && len(w.voters) > 1 {
		w.t.Fatalf("%s leaves while it leads", m.id)
	}
}

// checkGrant: a turn is given only when all who are not to go have answered.
func (w *world) checkGrant(m *simulated, to string) {
	if to == m.id && len(w.voters) == 1 {
		return // observers are no help to the only voter
	}
	for id := range w.members {
		if id != m.id && id != to && !m.heard[id] && w.upgrade().Member(id).Step != model.Excluded {
			w.t.Fatalf("%s gives %s the turn, and %s has not answered", m.id, to, id)
		}
	}
}

func (w *world) checkAlways() {
	out := 0
	for _, p := range w.upgrade().Members {
		switch p.Step {
		case model.Claimed, model.Draining, model.Leaving, model.Probation:
			out++
		}
	}
	if out > 1 {
		w.t.Fatalf("%d members are out at once: %+v", out, w.upgrade().Members)
	}
}

func (w *world) checkEnd() {
	for _, m := range w.members {
		if m.image != newImage {
			w.t.Fatalf("finished, and %s runs %s", m.id, m.image)
		}
	}
	if v := w.look().cluster.Version; v != "1.0.0" && v != "1.1.0" {
		w.t.Fatalf("cluster version %s", v)
	}
}

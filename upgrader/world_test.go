//go:build !race

// The race detector makes it ten times as slow, and it is one goroutine.
package upgrader

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// world is a cluster without network or processes: one copy of the records that
// all members read, members that act on it in any order, faults and an operator
// in between. What a member does comes from Next alone, what its commands do from
// the store, and time from the world.
type world struct {
	setting
	t       judge
	roll    func(what string, n int) int // one of 0..n-1
	records *store.Rehearsal
	picture picture // as of the last command
	now     time.Time
	boots   int
	changes int // of the record, of who leads, of processes
	runs    int
	members map[string]*simulated
	ids     []string
	voters  []string
	left    []string // out of the run, by the operator
	leader  string
	calm    bool // no faults, and nobody acts on an old picture
	told    []string
}

// setting is what a world is given.
type setting struct {
	voters, observers, left int

	level     int
	build     build
	options   model.Options
	misfits   map[misfit]bool // what goes wrong once
	faults    int             // kills, restores, leaps
	elections int             // of any member that is up
	acts      int             // of the operator
	mute      int             // one in so many surveys misses a member; 0: none

	migrations []model.Migration // that the package brings; none below level 2
	failures   int               // attempts at them that fail
}

// build is how the new version behaves.
type build int

const (
	good  build = iota
	frail       // dies twice at each swap, and works
	dying       // dies until it is put back
)

// misfit is something that a member finds or meets, once in a world.
type misfit int

const (
	trialFinds misfit = iota
	proofFinds
	recordsApart
	wayBackGone
	oldDies // going back, the kept binary does not come up
	dataLeft
	misfitKinds
)

type simulated struct {
	id       string
	up       bool
	swapping bool   // down by our own doing
	path     string // the image at its path
	image    string // the one that runs, or ran last
	left     string // the image that its attempt left
	boot     string
	armed    int
	deaths   int // in this attempt
	verdict  *model.Verdict
	before   picture // that it saw when it last moved

	clock clock
	pong  *Pong
	heard map[string]bool
	apart []string
	tries int
}

func (m *simulated) version() string {
	if m.image == newImage {
		return "1.1.0"
	}
	return "1.0.0"
}

// stage is records with nothing in them, for any number of worlds.
func stage(t *testing.T) *store.Copy {
	t.Helper()
	c, err := store.NewCopy(filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// judge ends a test.
type judge interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

// inWorld makes a world in which an upgrade has just been started.
func inWorld(t judge, c *store.Copy, s setting, roll func(string, int) int, f func(*world)) {
	err := c.Rehearse(func(r *store.Rehearsal) error {
		w := &world{setting: s, t: t, roll: roll, records: r, members: map[string]*simulated{}, now: time.Unix(0, 0)}
		w.begin()
		f(w)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) begin() {
	w.must(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: w.level}, Admin: model.User{Name: "admin"}})
	for i := range w.setting.voters + w.observers {
		m := &simulated{id: fmt.Sprintf("n%04d", i+1), up: true, image: oldImage, path: oldImage, boot: w.nextBoot()}
		w.members[m.id] = m
		w.ids = append(w.ids, m.id)
		w.report(m)
	}
	w.voters = w.ids[:w.setting.voters]
	w.leader = w.voters[w.roll("leader", len(w.voters))]
	for _, id := range w.ids[max(1, len(w.ids)-w.setting.left):] {
		if observer := !w.votes(id); id != w.leader && (observer || len(w.voters) > 2) { // the rest must be a quorum
			w.left = append(w.left, id)
		}
	}
	u := rollout()
	u.ID, u.Phase, u.Runs, u.Members = "u", model.Staged, 0, nil
	u.Archive.Migrations = w.migrations
	w.must(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: u.ID, Archive: u.Archive}})
	w.must(store.OpStageCommit, store.StageCommit{ID: u.ID, Upgrade: *u})
	w.start()
}

func (w *world) nextBoot() string {
	w.boots++
	return fmt.Sprint("boot", w.boots)
}

func (w *world) votes(id string) bool { return slices.Contains(w.voters, id) }

func (w *world) upgrade() *model.Upgrade { return w.picture.upgrade }

// apply is a command that becomes part of the record, if the protocol level lets
// it; the error is its answer.
func (w *world) apply(op store.Op, body any) error {
	if op != store.OpClusterInit {
		if err := store.Gate(op, w.picture.cluster); err != nil {
			w.fail("proposed %s: %v", op, err)
		}
	}
	err := w.records.Apply(store.New(op, body))
	if err != nil && !errors.Is(err, store.ErrConflict) {
		w.fail("%s: %v", op, err)
	}
	if err == nil {
		if op != store.OpUpgradeElapsed { // that goes on for as long as one waits
			w.changes++
		}
		w.look(body)
	}
	return err
}

// must is apply for what cannot be refused: whoever proposes it has just looked.
func (w *world) must(op store.Op, body any) {
	if err := w.apply(op, body); err != nil {
		w.fail("%s was proposed by one who had just looked, and refused: %v, %+v", op, err, body)
	}
}

// look brings the picture up to date after a command.
func (w *world) look(body any) {
	v, p := w.records.View(), &w.picture
	var errs [5]error
	p.cluster, errs[0] = v.Cluster()
	p.upgrade, errs[1] = v.Upgrade()
	p.release, errs[2] = v.Release()
	p.staging, errs[3] = v.Staging()
	if errors.Join(errs[:]...) == nil {
		p.job, errs[3] = jobAtWork(v, p.record())
	}
	if r, is := body.(store.MemberReport); is {
		members := maps.Clone(p.members)
		if members == nil {
			members = map[string]model.Member{}
		}
		members[r.Member.ID], errs[4] = v.Member(r.Member.ID)
		p.members = members
	}
	if err := errors.Join(errs[:]...); err != nil {
		w.fail("look: %v", err)
	}
}

func (w *world) tell(format string, args ...any) {
	if len(w.told) > 200 {
		w.told = slices.Delete(w.told, 0, 100)
	}
	w.told = append(w.told, w.now.Sub(time.Unix(0, 0)).String()+" "+fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	story := strings.Join(w.told[max(0, len(w.told)-60):], "\n")
	record := ""
	if u := w.upgrade(); u != nil {
		record = fmt.Sprintf("phase %s, stop %v, paused %v, roll-back %q, turn %+v, final %q, floor %q", u.Phase, u.Stop, u.Paused, u.Rollback, u.Turn, u.Final, w.picture.cluster.Floor)
		for _, p := range u.Members[:min(len(u.Members), 12)] {
			record += fmt.Sprintf("\n  %s %s attempt %d (%d before) runs %s, up %v: %s", p.ID, p.Step, p.Attempt, p.Before, w.members[p.ID].image, w.members[p.ID].up, p.Reason)
		}
	}
	w.t.Fatalf("%s\n%+v, left out %v, leader %s\n%s\n%s", fmt.Sprintf(format, args...), w.setting, w.left, w.leader, record, story)
}

// once says whether a misfit is due, and that it has been.
func (w *world) once(m misfit) bool {
	due := w.misfits[m] && w.roll("misfit", 2) == 0
	if due {
		delete(w.misfits, m)
		w.tell("misfit %d", m)
	}
	return due
}

func (w *world) reported(m *simulated) model.Member {
	return model.Member{ID: m.id, Name: m.id, Version: m.version(), Image: m.image, Platform: "linux/amd64", Boot: m.boot, Verdict: m.verdict, Observer: w.voters != nil && !w.votes(m.id)}
}

func (w *world) report(m *simulated) {
	w.must(store.OpMemberReport, store.MemberReport{Member: w.reported(m)})
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

func (w *world) lead(id string) {
	w.tell("%s leads", id)
	w.leader = id
	w.changes++
}

// move lets one member do one thing: come back if it is down, or what Next says.
func (w *world) move(id string) {
	m := w.members[id]
	w.now = w.now.Add(50 * time.Millisecond)
	switch {
	case !m.up:
		w.come(m)
		return
	case !w.quorum():
		return
	case w.leader == "" || !w.members[w.leader].up:
		if !w.votes(id) {
			return
		}
		w.lead(id)
	}
	p, fresh := w.picture, true
	if !w.calm && w.sameRun(m.before) && w.roll("old picture", 8) == 0 {
		p, fresh = m.before, false
	}
	m.before = w.picture
	if fresh && w.strange(m) {
		w.report(m)
		return
	}
	before := w.changes
	if worked := w.leader == id && (w.calm || w.roll("work", 2) == 0) && w.work(m); worked {
		return
	}
	if w.act(m, p, fresh); w.changes != before {
		w.checkAlways()
	}
}

// sameRun: a picture may be acted on still. A proposal is given up long before a
// run can end and another begin.
func (w *world) sameRun(p picture) bool {
	return p.members != nil && (p.upgrade == nil || w.upgrade() == nil || p.upgrade.Runs == w.upgrade().Runs)
}

// strange: what is on record of it is not what it is.
func (w *world) strange(m *simulated) bool {
	on := w.picture.members[m.id]
	return on.Boot != m.boot || on.Image != m.image || m.verdict != nil && on.Verdict == nil || m.verdict != nil && *on.Verdict != *m.verdict
}

func (w *world) act(m *simulated, p picture, fresh bool) {
	if p.upgrade = p.record(); p.upgrade == nil {
		if to := w.around(m, p).shelter(); to != "" {
			w.handOver(m, to)
		}
		return
	}
	s := w.seen(m, p)
	a := Next(p.upgrade, s)
	w.checkAction(m, p, s, a)
	switch {
	case a.Op != "" && fresh:
		w.tell("%s: %s %+v", m.id, a.Op, a.Body)
		w.must(a.Op, a.Body)
	case a.Op != "":
		w.tell("%s, on an old picture: %s: %v", m.id, a.Op, w.apply(a.Op, a.Body))
	case a.Do != "" && fresh:
		w.tell("%s: %s %s", m.id, a.Do, a.To)
		w.effect(m, a, p)
	case a.Do == "" && w.leader == m.id && underWay(p.upgrade):
		w.elapsed(m, p)
	}
}

// work is the leader doing the next bit of the job at work, of four; it says whether
// there was one.
func (w *world) work(m *simulated) bool {
	const bits = 4
	j := w.picture.job
	if j == nil || j.Migration.Paused != "" || j.State != model.JobWaiting && j.State != model.JobRunning {
		return false
	}
	end := store.JobEnd{ID: j.ID, Epoch: j.Epoch, To: model.JobDone}
	switch {
	case j.State == model.JobWaiting || j.Boot != m.boot:
		w.must(store.OpJobTake, store.JobTake{ID: j.ID, Epoch: j.Epoch, Runner: m.id, Boot: m.boot})
	case w.failures > 0 && w.roll("failure", 2) == 0:
		w.failures--
		end.To, end.Error = model.JobWaiting, "a failure"
		if j.Failures+1 >= Attempts {
			end.To = model.JobFailed
		}
		w.must(store.OpJobEnd, end)
	case j.Done == bits:
		w.must(store.OpJobEnd, end)
	default:
		w.must(store.OpJobProgress, store.JobProgress{ID: j.ID, Epoch: j.Epoch, Done: j.Done + 1, Total: bits, Checkpoint: fmt.Sprint(j.Done + 1)})
	}
	w.tell("%s works on %s: %+v", m.id, j.ID, w.picture.job)
	w.checkAlways()
	return true
}

// elapsed records the lived part of a wait, as the loop does.
func (w *world) elapsed(m *simulated, p picture) {
	key := waitKey(p.upgrade, true)
	if passed := m.clock.passed(p.upgrade.Wait, key, w.now); m.clock.due(passed, limit(p.upgrade)) {
		m.clock.told = passed
		w.apply(store.OpUpgradeElapsed, store.UpgradeElapsed{ID: p.upgrade.ID, For: key, Passed: passed})
	}
}

func (w *world) around(m *simulated, p picture) Seen {
	return Seen{Me: m.id, Boot: m.boot, Leading: w.leader == m.id, Voters: w.voters, Members: p.members, Version: m.version(),
		Gate: p.cluster.Version, Level: p.cluster.Level, Floor: p.cluster.Floor,
		Verdict: p.members[m.id].Verdict, Pong: m.pong, Tries: m.tries, Answered: m.heard, Apart: m.apart, Job: p.job}
}

func (w *world) seen(m *simulated, p picture) Seen {
	key := waitKey(p.upgrade, true)
	if m.clock.key != key {
		m.pong, m.tries, m.heard, m.apart = nil, 0, nil, nil
	}
	s := w.around(m, p)
	s.Armed, s.Open = m.armed, true
	if s.Leading {
		s.Waited = m.clock.passed(p.upgrade.Wait, key, w.now)
	} else {
		m.clock = clock{}
	}
	return s
}

func (w *world) effect(m *simulated, a Action, p picture) {
	up := p.upgrade
	switch a.Do {
	case Check:
		var found []string
		if w.once(trialFinds) {
			found = []string{"a finding"}
		}
		w.must(store.OpUpgradeChecked, store.UpgradeChecked{ID: up.ID, Run: up.Runs, Member: m.id, Findings: found})
	case BackUp:
		w.must(store.OpUpgradeBackup, store.UpgradeBackup{ID: up.ID, Run: up.Runs, Backup: "b"})
	case Arm:
		w.arm(m, up)
	case Drain:
		w.must(store.OpTurnStep, store.TurnStep{ID: up.ID, Member: m.id, Attempt: up.Turn.Attempt,
			From: model.Draining, To: model.Leaving, Boot: m.boot})
	case Swap:
		w.swap(m, p)
	case Survey:
		w.survey(m, p)
	case HandOver, StepAside:
		w.handOver(m, a.To)
	case Prove:
		w.prove(m, a.To, up)
	case Ping:
		w.checkUp(m, a.To)
	case Verify:
		w.must(store.OpUpgradeVerified, store.UpgradeMember{ID: up.ID, Member: m.id})
	case Complete:
		if w.once(dataLeft) {
			w.must(store.OpUpgradeRemigrate, store.UpgradeRemigrate{ID: up.ID, Names: []string{up.Migrated[0]}})
			return
		}
		done := complete(look(up, w.seen(m, p)))
		w.must(done.Op, done.Body)
	default:
		w.fail("%s does %q, which is no effect", m.id, a.Do)
	}
}

func (w *world) arm(m *simulated, up *model.Upgrade) {
	if up.Turn.Back && w.once(wayBackGone) {
		w.must(store.OpTurnStep, store.TurnStep{ID: up.ID, Member: m.id, Attempt: up.Turn.Attempt, From: up.Member(m.id).Step, To: model.Broken,
			Boot: m.boot, Reason: "the way back is not there"})
		return
	}
	m.armed, m.deaths, m.left = up.Turn.Attempt, 0, m.image
	w.changes++
}

func (w *world) swap(m *simulated, p picture) {
	w.checkSwap(m)
	m.path, m.up, m.swapping = look(p.upgrade, w.seen(m, p)).aim(m.id), false, true
	w.changes++
}

// survey asks all; one that is well may be missed, one that is down never answers.
func (w *world) survey(m *simulated, p picture) {
	m.heard, m.apart = map[string]bool{}, nil
	for _, other := range w.members {
		m.heard[other.id] = other.up
	}
	if !w.calm && w.mute > 0 && w.roll("mute", w.mute) == 0 {
		m.heard[w.ids[w.roll("who", len(w.ids))]] = false
	}
	if w.level > 0 && mixed(p) && !slices.Contains(backwards(), p.upgrade.Phase) && w.once(recordsApart) {
		m.apart = []string{"the members' records differ"}
	}
}

func (w *world) handOver(m *simulated, to string) {
	m.tries++
	if to == "" || !w.members[to].up {
		w.now = w.now.Add(askLimit)
		return
	}
	w.lead(to)
}

func (w *world) prove(m *simulated, to string, up *model.Upgrade) {
	if !w.members[to].up {
		w.now = w.now.Add(askLimit)
		return
	}
	proof := model.Proof{Run: up.Runs, Member: to}
	if w.once(proofFinds) {
		proof.Findings, proof.Unfit = []string{"it does not work"}, w.roll("unfit", 2) == 0
	}
	w.must(store.OpUpgradeProof, store.UpgradeProof{ID: up.ID, Proof: proof})
}

func (w *world) checkUp(m *simulated, to string) {
	if !w.members[to].up {
		w.now = w.now.Add(askLimit)
		return
	}
	m.pong = &Pong{Member: to, Boot: w.members[to].boot}
}

// come is a member coming up on whatever binary is at its path, or dying of it.
// At the third death of an attempt the image that it left is put back.
func (w *world) come(m *simulated) {
	w.changes++
	if w.deadly(m) {
		if m.deaths++; m.deaths >= Attempts {
			w.tell("%s is put back", m.id)
			m.path, m.verdict = m.left, &model.Verdict{Upgrade: "u", Attempt: m.armed, Reason: "died three times"}
		}
		return
	}
	m.up, m.swapping, m.boot, m.image = true, false, w.nextBoot(), m.path
	m.pong, m.heard, m.apart, m.tries, m.clock, m.before = nil, nil, nil, 0, clock{}, picture{}
	w.tell("%s comes on %s as %s", m.id, m.image, m.boot)
	if w.leader == m.id && len(w.voters) > 1 {
		w.leader = ""
	}
}

func (w *world) deadly(m *simulated) bool {
	switch {
	case m.path == m.left || m.armed == 0:
		return false
	case m.path == newImage:
		return w.build == dying || w.build == frail && m.deaths < Attempts-1
	}
	return w.misfits[oldDies]
}

func (w *world) kill(m *simulated) {
	w.tell("%s is killed", m.id)
	m.up = false
	w.changes++
}

// fault harms the cluster in one way.
func (w *world) fault() {
	m := w.members[w.likely()]
	switch w.roll("fault", 5) {
	case 0:
		w.kill(m)
		m.path, m.left, m.armed = oldImage, "", 0 // somebody restored its disk
		w.tell("%s has its old image back", m.id)
	case 1:
		if u := w.upgrade(); u != nil {
			w.now = w.now.Add(limit(u) + time.Second)
			w.tell("time flies")
		}
	default:
		w.kill(m)
	}
}

// operate is an operator doing something, sensible or not. What needs the level is
// not asked for below it.
func (w *world) operate() {
	u := w.upgrade()
	if u == nil {
		return
	}
	ref := store.UpgradeRef{ID: u.ID}
	var err error
	switch act := w.roll("act", 8); {
	case act == 0:
		if u.Phase.Status() == "working" {
			err = w.apply(store.OpUpgradeStop, ref)
		} else {
			err = w.apply(store.OpUpgradeClear, ref)
		}
		w.tell("the operator clears away: %v", err)
	case act == 1:
		w.start()
	case w.level == 0 && act == 2:
		err := w.apply(store.OpUpgradeComplete, store.UpgradeComplete{ID: u.ID, Version: u.Archive.Version})
		w.tell("the operator completes: %v", err)
	case w.level == 0:
	case act < 4:
		err = w.apply(store.OpUpgradePause, store.UpgradePause{ID: u.ID, By: "admin"})
		w.tell("the operator pauses: %v", err)
	case act < 6:
		err = w.apply(store.OpUpgradeResume, ref)
		w.tell("the operator resumes: %v", err)
	default:
		err = w.apply(store.OpUpgradeRollback, store.UpgradeRollback{ID: u.ID, By: "admin"})
		w.tell("the operator asks to go back: %v", err)
	}
}

// start starts what is staged, or again what failed, if that may be.
func (w *world) start() bool {
	u := w.upgrade()
	o := w.options
	if failed := w.picture.cluster.Failed[u.Archive.Digest] != ""; failed && w.level == 0 {
		return false
	} else if failed {
		o.Force = true
	}
	op := store.OpUpgradeStart
	if !o.Plain() {
		op = store.OpUpgradeRun
	}
	o.Exclude = w.left
	var before *model.Upgrade
	if u.Runs > 0 {
		before = u
	}
	err := w.apply(op, store.UpgradeStart{ID: u.ID, Options: o, Members: plan(w.picture, before, w.left)})
	w.tell("the operator starts: %v", err)
	if err == nil {
		w.runs++
	}
	return err == nil
}

// likely is a member that matters now, most of the time.
func (w *world) likely() string {
	switch u := w.upgrade(); w.roll("kind", 8) {
	case 0, 1, 2:
		if w.leader != "" {
			return w.leader
		}
	case 3, 4, 5:
		if u != nil && u.Turn != nil {
			return u.Turn.Member
		}
	case 6:
		if down := w.down(); len(down) > 0 {
			return down[w.roll("down", len(down))]
		}
	}
	return w.ids[w.roll("who", len(w.ids))]
}

func (w *world) down() (ids []string) {
	for _, id := range w.ids {
		if !w.members[id].up {
			ids = append(ids, id)
		}
	}
	return ids
}

// elect makes any voter the leader that is up.
func (w *world) elect() {
	if id := w.voters[w.roll("elected", len(w.voters))]; w.members[id].up {
		w.lead(id)
	}
}

// live is a time of faults.
func (w *world) live(moves int) {
	for range moves {
		if w.over() {
			return
		}
		switch event := w.roll("turn of events", 16); {
		case event == 0 && w.faults > 0:
			w.faults--
			w.fault()
		case event == 1 && w.elections > 0 && w.quorum():
			w.elections--
			w.elect()
		case w.acts > 0 && w.quorum() && (event == 2 || event < 6 && w.tense()):
			w.acts--
			w.operate()
		default:
			w.move(w.likely())
		}
	}
}

// tense: a turn is given and not taken yet.
func (w *world) tense() bool { return w.upgrade().Turn != nil && !w.upgrade().Turn.Claimed }

// over: nothing is left to come of it.
func (w *world) over() bool {
	u := w.upgrade()
	return u == nil || u.Completed && len(unfinished(u, model.Contract, model.Task)) == 0
}

// settle is a time without faults, in which everybody gets its turn. It ends when
// nothing happens any more, however long one waits.
func (w *world) settle() {
	w.calm = true
	defer func() { w.calm = false }()
	bound := 200 + 60*(w.runs+1)*len(w.ids) + 60*len(w.migrations)
	for round, quiet := 0, 0; quiet < 9; round++ {
		if round > bound {
			w.fail("no end in sight after %d rounds without a fault", round)
		}
		before := w.changes
		for _, id := range w.busy(quiet) {
			w.move(id)
		}
		switch quiet++; {
		case w.changes != before:
			quiet = 0
		case quiet == 3:
			w.now = w.now.Add(w.options.Probation + time.Second)
		case quiet == 6 && w.upgrade() != nil:
			w.now = w.now.Add(limit(w.upgrade()) + time.Second)
		}
	}
	w.tell("nothing happens any more")
}

// busy are the members that have something to do. When they do nothing for long,
// all are asked.
func (w *world) busy(quiet int) []string {
	u := w.upgrade()
	if quiet > 4 || u == nil || u.Phase == model.Checking || u.Phase == model.Verifying || len(w.ids) < 20 {
		return w.ids
	}
	ids := w.down()
	if w.leader != "" && !slices.Contains(ids, w.leader) {
		ids = append(ids, w.leader)
	}
	if u.Turn != nil && !slices.Contains(ids, u.Turn.Member) {
		ids = append(ids, u.Turn.Member)
	}
	return ids
}

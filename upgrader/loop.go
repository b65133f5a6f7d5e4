package upgrader

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	actLimit = 10 * time.Second       // for one proposal
	idle     = time.Second            // between looks when nothing changes
	breath   = 100 * time.Millisecond // before looking again after something went wrong
)

// Run is the loop: read the record, do the one thing it asks, write what came
// of it. It returns when ctx is over.
func (u *Upgrader) Run(ctx context.Context) error {
	if err := u.removeTrials(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		u.alive(0)
		changed, led := u.Store.Changed(), u.Cluster.Leadership()
		u.passes.Add(1)
		acted, nap, err := u.pass(ctx)
		u.alive(0)
		if err != nil && ctx.Err() == nil {
			u.warn(err)
			acted, nap = false, breath
		}
		if acted {
			u.trouble = ""
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-led:
		case <-u.wake:
		case <-time.After(nap):
		}
	}
	return ctx.Err()
}

// alive tells whoever listens that the loop goes on, and that what it does now
// may take so long. Only the loop may say so: others may go on without it.
func (u *Upgrader) alive(busy time.Duration) {
	u.until.Store(int64(time.Since(u.born) + busy + stillLimit))
	if u.Pulse != nil {
		u.Pulse.Beat(busy)
	}
}

// passed returns when the loop has begun another pass: it goes on. Whoever asks
// waits for it with a deadline of its own.
func (u *Upgrader) passed(ctx context.Context) error {
	seen := u.passes.Load()
	tick := time.NewTicker(breath / 20)
	defer tick.Stop()
	for u.passes.Load() == seen {
		select {
		case u.wake <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "the main loop of %s does not go on", u.Self.Name)
		case <-tick.C:
		}
	}
	return nil
}

// stillLimit is how long the loop may be silent beyond what it said.
const stillLimit = 5 * time.Second

// Stalled says whether the loop stands still. Others may serve on then, and
// nothing of an upgrade goes on here. It may be called at any time.
func (u *Upgrader) Stalled() bool {
	until := time.Duration(u.until.Load())
	return until != 0 && time.Since(u.born) > until
}

// warn logs what went wrong, once as long as it stays the same.
func (u *Upgrader) warn(err error) {
	if err.Error() == u.trouble {
		return
	}
	u.trouble = err.Error()
	u.Log.Warn("act on the record", "error", err)
}

// picture is the record and what stands around it, as of one moment.
type picture struct {
	cluster model.Cluster
	members map[string]model.Member
	staging *model.Staging
	upgrade *model.Upgrade
	release *model.Upgrade // the last one that finished, cleared away since
	job     *model.Job     // of the migration at work for the record
}

// record is the upgrade that the loop acts on: the one people deal with, or the
// release that runs, for members that lag behind.
func (p picture) record() *model.Upgrade {
	if p.upgrade == nil && p.staging == nil {
		return p.release
	}
	return p.upgrade
}

// byID is the upgrade on record with that id, or nil.
func (p picture) byID(id string) *model.Upgrade {
	for _, up := range []*model.Upgrade{p.upgrade, p.release} {
		if up != nil && up.ID == id {
			return up
		}
	}
	return nil
}

func (u *Upgrader) look() (p picture, err error) {
	err = u.Store.View(func(v *store.View) error {
		var err error
		if p.cluster, err = v.Cluster(); err != nil {
			return err
		}
		members, err := v.Members()
		if err != nil {
			return err
		}
		p.members = map[string]model.Member{}
		for _, m := range members {
			p.members[m.ID] = m
		}
		if p.staging, err = v.Staging(); err != nil {
			return err
		}
		if p.upgrade, err = v.Upgrade(); err != nil {
			return err
		}
		if p.release, err = v.Release(); err != nil {
			return err
		}
		p.job, err = jobAtWork(v, p.record())
		return err
	})
	return p, err
}

// jobAtWork is the job of the migration that is at work for an upgrade, or waits
// for a person.
func jobAtWork(v *store.View, up *model.Upgrade) (*model.Job, error) {
	if up == nil || up.Job == "" {
		return nil, nil
	}
	j, err := v.Job(up.Job)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &j, err
}

// pass looks once and acts at most once. It answers whether it acted, and if
// not, how long nothing needs to be looked at unless the record changes.
func (u *Upgrader) pass(ctx context.Context) (acted bool, nap time.Duration, err error) {
	p, err := u.look()
	if errors.Is(err, store.ErrNotFound) {
		return false, breath, nil // not in a cluster yet
	}
	if u.Store.Fault() != nil {
		if err := u.restart(ctx, p); err != nil {
			u.warn(err)
		}
		return false, lateEvery, nil
	}
	if err != nil {
		return false, 0, err
	}
	if self := u.self(p); !reflect.DeepEqual(p.members[self.ID], self) {
		u.alive(actLimit)
		return true, 0, u.report(ctx, self)
	}
	for _, act := range []func(context.Context, picture) (bool, error){u.tidy, u.stage, u.scheduled, u.aside, u.afterTurn, u.next, u.leftover, u.mark, u.raise, u.convert} {
		u.alive(actLimit)
		if acted, err := act(ctx, p); acted || err != nil {
			return acted, 0, err
		}
	}
	return false, u.nap(p), nil
}

// self is what this member has to report: who and what it is, and the verdict
// on its last attempt if it was put back.
func (u *Upgrader) self(p picture) model.Member {
	self := u.Self
	self.Issues = u.Own.Issues()
	if before, known := p.members[self.ID]; known {
		self.Verdict, self.Observer = before.Verdict, before.Observer
	}
	v, found, err := u.Own.Verdict()
	if err != nil {
		u.warn(err)
	}
	if err == nil && found && v.PutBack {
		self.Verdict = &model.Verdict{Upgrade: v.Upgrade, Attempt: v.Attempt, Reason: v.Reason}
	}
	return self
}

// armedFor is the attempt at this upgrade that this member is armed for, or 0.
func (u *Upgrader) armedFor(upgrade string) int {
	a, open, err := u.Own.Attempt()
	if err != nil || !open || a.Upgrade != upgrade {
		return 0
	}
	return a.Number
}

func (u *Upgrader) report(ctx context.Context, self model.Member) error {
	return crash.Point("report", func() error {
		return u.propose(ctx, store.OpMemberReport, store.MemberReport{Member: self})
	})
}

func (u *Upgrader) propose(ctx context.Context, op store.Op, body any) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	a, err := u.Cluster.Propose(ctx, store.New(op, body))
	if err != nil {
		return fmt.Errorf("propose %s: %w", op, err)
	}
	return a.Err()
}

// next asks Next and does what it says.
func (u *Upgrader) next(ctx context.Context, p picture) (bool, error) {
	if p.upgrade = p.record(); p.upgrade == nil {
		return false, nil
	}
	a := Next(p.upgrade, u.seen(p))
	switch {
	case a.Op != "":
		err := u.point(a, func() error { return u.propose(ctx, a.Op, a.Body) })
		if floor, moved := a.Body.(store.ClusterFloor); moved && err == nil {
			u.Log.Info("the floor is "+floor.Version+" now", "before", floor.Before)
		}
		return true, err
	case a.Do != "":
		err := u.effect(ctx, a, p)
		u.alive(actLimit)
		return true, errors.Join(err, u.explain(ctx, p, err))
	}
	return u.tell(ctx, p)
}

func (u *Upgrader) seen(p picture) Seen {
	open := u.open(p.upgrade)
	key := waitKey(p.upgrade, open)
	if u.clock.key != key {
		u.pong, u.tries, u.answered, u.apart = nil, 0, nil, nil
	}
	s := u.around(p)
	s.Armed, s.Open = u.armedFor(p.upgrade.ID), open
	if s.Leading {
		s.Waited = u.clock.passed(p.upgrade.Wait, key, time.Now())
	} else {
		u.clock = clock{}
	}
	return s
}

// around is what a member sees beside an upgrade.
func (u *Upgrader) around(p picture) Seen {
	return Seen{
		Me: u.Self.ID, Boot: u.Self.Boot, Leading: u.Cluster.Leading(), Voters: u.Cluster.Voters(),
		Members: p.members, Version: u.Self.Version, Gate: p.cluster.Version, Level: p.cluster.Level, Floor: p.cluster.Floor,
		Verdict: p.members[u.Self.ID].Verdict, Pong: u.pong, Tries: u.tries, Answered: u.answered, Apart: u.apart,
		Job: p.job,
	}
}

// leftover has what is to be done after a completion done also while the next
// upgrade is staged already.
func (u *Upgrader) leftover(ctx context.Context, p picture) (bool, error) {
	if p.release == nil || p.upgrade == nil || p.upgrade.Phase != model.Staged || !u.Cluster.Leading() {
		return false, nil
	}
	v := look(p.release, u.around(p))
	if !contractDue(v) {
		return false, nil
	}
	a := migration(v)
	return true, ignoreConflict(u.propose(ctx, a.Op, a.Body))
}

// aside hands leadership on from below the floor when there is no upgrade on
// record whose tables would.
func (u *Upgrader) aside(ctx context.Context, p picture) (bool, error) {
	if p.record() != nil {
		return false, nil
	}
	to := u.around(p).shelter()
	if to == "" {
		return false, nil
	}
	return true, u.handOver(ctx, to)
}

// explain records what stands in the way, so that every member can say it.
func (u *Upgrader) explain(ctx context.Context, p picture, cause error) error {
	if cause == nil || p.cluster.Level == 0 || !u.Cluster.Leading() || !underWay(p.upgrade) {
		return nil
	}
	key, why := waitKey(p.upgrade, u.open(p.upgrade)), brief(cause)
	if w := p.upgrade.Wait; w.For == key && w.Why == why {
		return nil
	}
	passed := u.clock.passed(p.upgrade.Wait, key, time.Now())
	return ignoreConflict(u.propose(ctx, store.OpUpgradeWait, store.UpgradeWait{ID: p.upgrade.ID, Wait: model.Wait{For: key, Passed: passed, Why: why}}))
}

// whyLimit bounds what is recorded of an error.
const whyLimit = 500

func brief(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > whyLimit {
		text = strings.ToValidUTF8(text[:whyLimit], "") + "..."
	}
	return text
}

// tell records the elapsed part of a wait, every twentieth of it.
func (u *Upgrader) tell(ctx context.Context, p picture) (bool, error) {
	if !u.Cluster.Leading() || !underWay(p.upgrade) {
		return false, nil
	}
	key := waitKey(p.upgrade, u.open(p.upgrade))
	passed := u.clock.passed(p.upgrade.Wait, key, time.Now())
	if !u.clock.due(passed, limit(p.upgrade)) {
		return false, nil
	}
	u.clock.told = passed
	return true, u.elapsed(ctx, p, key, passed)
}

// elapsed keeps what stands in the way beside how long it has.
func (u *Upgrader) elapsed(ctx context.Context, p picture, key string, passed time.Duration) error {
	if w := p.upgrade.Wait; p.cluster.Level > 0 && w.For == key && w.Why != "" {
		return u.propose(ctx, store.OpUpgradeWait, store.UpgradeWait{ID: p.upgrade.ID, Wait: model.Wait{For: key, Passed: passed, Why: w.Why}})
	}
	return u.propose(ctx, store.OpUpgradeElapsed, store.UpgradeElapsed{ID: p.upgrade.ID, For: key, Passed: passed})
}

// underWay says whether there is a wait that may run out.
func underWay(up *model.Upgrade) bool { return up.Phase.Status() == "working" || up.Turn != nil }

// nap is how long this member may sleep if the record does not change.
func (u *Upgrader) nap(p picture) time.Duration {
	if p.upgrade = p.record(); p.upgrade == nil || !u.Cluster.Leading() || !underWay(p.upgrade) {
		return idle
	}
	nap := idle
	if t := turnOf(p.upgrade); t != nil && t.Step == model.Probation {
		left := p.upgrade.Options.Probation - u.clock.passed(p.upgrade.Wait, waitKey(p.upgrade, true), time.Now())
		nap = min(nap, max(left, breath/10))
	}
	return nap
}

// point names the proposals that a crash test dies around.
func (u *Upgrader) point(a Action, propose func() error) error {
	switch body := a.Body.(type) {
	case store.TurnClaim:
		return crash.Point("claim", propose)
	case store.TurnStep:
		switch body.To {
		case model.Draining:
			return crash.Point("drain", propose)
		case model.Done:
			return crash.Point("settle", propose)
		}
	}
	return propose()
}

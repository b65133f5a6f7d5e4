//go:build !race

package upgrader

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/policy"
)

// checkAction holds what a member is about to do against what must be.
func (w *world) checkAction(m *simulated, p picture, s Seen, a Action) {
	switch body := a.Body.(type) {
	case store.TurnRef:
		if a.Op != store.OpTurnWithdraw {
			w.checkGrant(m, p, s, body.Member)
		}
	case store.TurnClaim:
		w.checkNothingIsAsked(m, p)
	case store.UpgradeRevert:
		w.checkImages(p, "goes back", func(row model.Progress, image string) bool {
			return image == row.Image || slices.Contains(body.Going, row.ID)
		})
	case store.UpgradeReverted:
		w.checkImages(p, "is back", func(row model.Progress, image string) bool {
			return body.Back != model.BackDone || image == row.Image && row.Step == model.Reverted
		})
	case store.UpgradeComplete:
		if p.upgrade.Turn != nil {
			w.fail("completed, and it is still the turn of %s", p.upgrade.Turn.Member)
		}
	case store.JobMigrate:
		w.checkMigration(p, body)
	case store.UpgradeMove:
		w.checkImages(p, "is through", func(row model.Progress, image string) bool {
			return body.To != model.Finished || image == newImage && row.Verified
		})
	}
	if a.Do == HandOver {
		w.checkNothingIsAsked(m, p)
		for _, row := range p.upgrade.Members {
			if p.upgrade.Phase != model.Failed && row.ID != m.id && look(p.upgrade, s).yetToGo(row) {
				w.fail("%s hands over to go, and %s is yet to go", m.id, row.ID)
			}
		}
	}
	w.checkFloor(m, p, s, a)
}

// checkMigration: data is touched before the first goes, when all are there, or when
// nobody can go back any more.
func (w *world) checkMigration(p picture, body store.JobMigrate) {
	u := p.upgrade
	all := func(image string) bool {
		for _, m := range p.members {
			if m.Image != image {
				return false
			}
		}
		return true
	}
	right := u.Completed
	switch u.Archive.Migration(body.Action).Phase {
	case model.Expand:
		right = u.Phase == model.Checking && all(oldImage) || u.Runs > 1 || all(newImage)
	case model.Migrate:
		right = all(newImage) && !u.Completed && u.Turn == nil
	}
	if !right || called(sight{u: u}) {
		w.fail("%s is to run now", body.Action)
	}
}

// checkImages holds what is said of all who take part against what they run.
func (w *world) checkImages(p picture, said string, right func(row model.Progress, image string) bool) {
	for _, row := range p.upgrade.Members {
		if image := p.members[row.ID].Image; included(row) && !right(row, image) {
			w.fail("everybody %s, and %s is %s and runs %s", said, row.ID, row.Step, image)
		}
	}
}

// checkGrant: a turn is given only when all who are not to go have answered, to
// observers first and to the leader never, and a quorum is left.
func (w *world) checkGrant(m *simulated, p picture, s Seen, to string) {
	w.checkNothingIsAsked(m, p)
	if to == m.id {
		if len(w.voters) > 1 {
			w.fail("%s gives itself the turn", m.id)
		}
		return // observers are no help to the only voter
	}
	left := len(w.voters) - 1
	for id := range w.members {
		row := p.upgrade.Member(id)
		if row == nil || id == m.id || id == to && p.upgrade.Phase != model.Failed {
			continue
		}
		if included(*row) && !m.heard[id] {
			w.fail("%s gives %s the turn, and %s has not answered", m.id, to, id)
		}
		if w.votes(id) && !m.heard[id] {
			left--
		}
		if w.votes(to) && !w.votes(id) && look(p.upgrade, s).yetToGo(*row) {
			w.fail("%s gives voter %s the turn, and observer %s is yet to go", m.id, to, id)
		}
	}
	if w.level > 0 && w.votes(to) && len(w.voters) > 2 && left < len(w.voters)/2+1 && len(w.options.Ignore) == 0 {
		w.fail("%s gives %s the turn, and %d of %d voters are left", m.id, to, left, len(w.voters))
	}
}

func (w *world) checkNothingIsAsked(m *simulated, p picture) {
	if u := p.upgrade; u.Stop || u.Paused != nil || u.Rollback != "" {
		w.fail("%s begins something new, and nothing new is to begin", m.id)
	}
}

// checkFloor: whoever leads on the wrong side of the floor does nothing but hand
// over, a few times, and whoever is the first to lead beyond it moves it first,
// unless a turn is open that has to end.
func (w *world) checkFloor(m *simulated, p picture, s Seen, a Action) {
	u := p.upgrade
	if a.Do == StepAside && s.Tries >= Attempts {
		w.fail("%s steps aside for the %dth time", m.id, s.Tries+1)
	}
	if !s.Leading || s.Level == 0 || u.Turn != nil || u.Phase == model.Staged || u.Phase == model.Checking {
		return
	}
	newer := func(version string) bool { return s.Floor != "" && policy.Older(s.Floor, version) }
	older := func(version string) bool { return s.Floor != "" && policy.Older(version, s.Floor) }
	wrong, beyond, through := older, newer, []model.Step{model.Done, model.Skipped}
	if u.Phase == model.Reverting {
		wrong, beyond, through = newer, older, []model.Step{model.Reverted}
	}
	heir := slices.ContainsFunc(u.Members, func(row model.Progress) bool {
		return row.ID != m.id && w.votes(row.ID) && slices.Contains(through, row.Step) && !wrong(p.members[row.ID].Version)
	})
	if wrong(s.Version) && heir && s.Tries < Attempts && a.Do != StepAside {
		w.fail("%s leads on %s, %s has led, and it does %q %s", m.id, s.Version, s.Floor, a.Do, a.Op)
	}
	first := u.Phase != model.Reverting && s.Floor == "" && policy.Older(s.Gate, s.Version)
	if (beyond(s.Version) || first) && a.Op != store.OpClusterFloor {
		w.fail("%s leads on %s, beyond the floor %q, and it does %q %s", m.id, s.Version, s.Floor, a.Do, a.Op)
	}
}

// checkSwap: who leaves holds the turn and does not lead, and nobody else is out
// by our doing.
func (w *world) checkSwap(m *simulated) {
	up := w.picture.record()
	if up.Turn == nil || up.Turn.Member != m.id || !up.Turn.Claimed {
		w.fail("%s leaves without holding the turn", m.id)
	}
	if w.leader == m.id && len(w.voters) > 1 {
		w.fail("%s leaves while it leads", m.id)
	}
	for _, other := range w.members {
		if other != m && other.swapping {
			w.fail("%s leaves while %s is out", m.id, other.id)
		}
	}
}

func (w *world) checkAlways() {
	u := w.upgrade()
	if u == nil {
		return
	}
	for _, row := range u.Members {
		switch row.Step {
		case model.Claimed, model.Draining, model.Leaving, model.Probation:
			if u.Turn == nil || u.Turn.Member != row.ID {
				w.fail("%s is %s, and it is not its turn", row.ID, row.Step)
			}
		}
	}
	if len(w.ids) < 20 {
		w.checkTold()
	}
}

// checkTold: nothing stands still without saying so, and without a choice.
func (w *world) checkTold() {
	told := waitingFor(w.picture)
	if w.upgrade().Completed {
		if told != nil && w.over() {
			w.fail("completed, and it waits for %+v", told)
		}
		return
	}
	if told == nil || told.What == "" || len(told.Choices) == 0 || slices.Contains(told.Choices, "") {
		w.fail("it does not say what it waits for: %+v", told)
	}
	for _, refused := range []string{choosePause, chooseResume, chooseBack, chooseForce} {
		if w.level == 0 && slices.Contains(told.Choices, refused) {
			w.fail("at level 0 it offers %q", refused)
		}
	}
}

// conclude lets a world without faults come to rest again and again, and has an
// operator decide where one has to, until it is over. It says how often.
func (w *world) conclude() (decisions int) {
	for {
		w.settle()
		if w.over() {
			w.checkEnd()
			return decisions
		}
		w.checkRest()
		if decisions++; decisions > 12 {
			w.fail("no end after %d decisions", decisions)
		}
		w.decide()
	}
}

// checkRest: it stands still only where it says that an operator has to decide.
func (w *world) checkRest() {
	u := w.upgrade()
	w.checkTold()
	switch {
	case u.Paused != nil, u.Phase == model.Staged:
	case w.picture.job != nil && w.picture.job.State == model.JobFailed && u.Phase != model.Checking:
	case u.Stop, u.Rollback != "", u.Turn != nil:
		w.fail("it stands still, and something is under way")
	case u.Phase == model.Finished && u.Options.Mode == model.ModeBackground && len(unfinished(u, model.Expand, model.Migrate)) == 0:
	case u.Phase == model.Finished && (u.Options.Hold || w.build == dying || w.anyStep(model.Broken, model.Reverted)):
	case u.Phase == model.Failed:
		w.checkFailed()
	default:
		w.fail("it stands still")
	}
}

func (w *world) anyStep(steps ...model.Step) bool {
	return slices.ContainsFunc(w.upgrade().Members, func(row model.Progress) bool { return slices.Contains(steps, row.Step) })
}

// checkFailed: what failed says why; and nobody runs what it went back from.
func (w *world) checkFailed() {
	u := w.upgrade()
	if u.Final == "" {
		w.fail("failed, and it does not say why")
	}
	for _, row := range u.Members {
		m := w.members[row.ID]
		if u.Back == model.BackDone && included(row) && m.image != oldImage {
			w.fail("rolled back, and %s runs %s", m.id, m.image)
		}
		if w.build == dying && m.image == newImage {
			w.fail("%s runs a build that cannot run", m.id)
		}
	}
	if f := w.picture.cluster.Floor; u.Back == model.BackDone && f != "" && f != u.From {
		w.fail("rolled back, and the floor is %s", f)
	}
}

// decide is an operator who wants it to end.
func (w *world) decide() {
	u := w.upgrade()
	ref := store.UpgradeRef{ID: u.ID}
	switch {
	case u.Paused != nil:
		w.tell("the operator resumes")
		w.must(store.OpUpgradeResume, ref)
	case w.picture.job != nil && w.picture.job.State == model.JobFailed:
		w.tell("the operator has %s tried again", w.picture.job.ID)
		w.must(store.OpJobTrigger, store.JobAsk{ID: w.picture.job.ID})
	case u.Phase == model.Finished && !u.Completed && w.level > 0 && (len(unfinished(u, model.Expand, model.Migrate)) > 0 || w.roll("back or complete", 4) == 0):
		w.tell("the operator asks to go back")
		w.must(store.OpUpgradeRollback, store.UpgradeRollback{ID: u.ID, By: "admin"})
	case u.Phase == model.Finished:
		w.complete()
	case w.runs < 4 && (w.build != dying || w.runs < 2) && w.roll("again", 4) > 0 && w.start():
	default:
		w.tell("the operator clears it away")
		w.must(store.OpUpgradeClear, ref)
	}
}

// complete is an operator who waits for nobody.
func (w *world) complete() {
	u := w.upgrade()
	var without []string
	for id, m := range w.picture.members {
		if m.Image != newImage {
			without = append(without, id)
		}
	}
	w.tell("the operator completes without %v", without)
	w.must(store.OpUpgradeComplete, store.UpgradeComplete{ID: u.ID, Version: u.Archive.Version, Without: without})
	w.left = without
}

func (w *world) checkEnd() {
	if w.upgrade() == nil {
		w.checkLeader()
		return
	}
	w.checkTold()
	for _, m := range w.members {
		if m.image != newImage && !slices.Contains(w.left, m.id) {
			w.fail("completed, and %s runs %s", m.id, m.image)
		}
	}
	if v := w.picture.cluster.Version; v != "1.1.0" {
		w.fail("completed, and the cluster version is %s", v)
	}
}

// checkLeader: cleared away in the middle, the version that has led leads, if
// anybody runs it.
func (w *world) checkLeader() {
	floor := w.picture.cluster.Floor
	leads := w.leader != "" && policy.Older(w.members[w.leader].version(), floor)
	if floor != "" && leads && slices.ContainsFunc(w.voters, func(id string) bool { return !policy.Older(w.members[id].version(), floor) }) {
		w.fail("%s leads, below the floor %s", w.leader, floor)
	}
}

// drawn has rapid roll the dice.
func drawn(rt *rapid.T) func(string, int) int {
	return func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
}

// thrown are the dice of one seed.
func thrown(seed uint64) func(string, int) int {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(_ string, n int) int { return r.IntN(n) }
}

// anySetting draws a small cluster, most often, and what will go wrong in it.
func anySetting(roll func(string, int) int) setting {
	s := setting{
		voters: 1 + roll("voters", 7), observers: roll("observers", 3), left: roll("left out", 2), level: roll("level", 4),
		build: build(roll("build", 3)), faults: roll("faults", 8), elections: roll("elections", 8), acts: roll("acts", 5), mute: 10, misfits: map[misfit]bool{},
		options: model.Options{Deadline: time.Hour, Probation: 10 * time.Second},
	}
	if roll("misfit at all", 3) == 0 {
		s.misfits[misfit(roll("misfit", int(misfitKinds)))] = true
	}
	if s.level = min(s.level, 2); s.level == 0 {
		return s
	}
	if s.level == 2 {
		s.migrations, s.failures = anyMigrations(roll), roll("failures", 8)
		s.options.Mode = []string{"", model.ModeBackground}[roll("mode", 2)]
	}
	s.options.Hold = roll("hold", 4) == 0
	if roll("roll back", 2) == 0 {
		s.options.OnFailure = model.OnFailureRollback
	}
	if roll("hold after", 4) == 0 {
		s.options.HoldAfter = 1 + roll("so many", s.voters+s.observers)
	}
	if roll("ignore quorum", 6) == 0 {
		s.options.Ignore = []string{model.IgnoreQuorum}
	}
	return s
}

// anyMigrations draws what a package brings: up to two of each phase.
func anyMigrations(roll func(string, int) int) (all []model.Migration) {
	for _, phase := range model.MigrationPhases() {
		for n := range roll(string(phase), 3) {
			all = append(all, model.Migration{Name: fmt.Sprint(phase, n), Phase: phase, Images: map[string]string{"linux/amd64": "sha256:m"}})
		}
	}
	return all
}

func TestAnyRolloutOfAGoodBuildEndsFinishedWhateverIsKilled(t *testing.T) {
	c := stage(t)
	rapid.Check(t, func(rt *rapid.T) {
		roll := drawn(rt)
		s := anySetting(roll)
		s.build, s.faults, s.acts, s.misfits, s.options.Hold, s.options.HoldAfter = build(roll("frail", 2)), 0, 0, nil, false, 0
		s.elections, s.failures, s.options.Mode = 0, 0, ""
		kills := roll("kills", Attempts)
		inWorld(rt, c, s, roll, func(w *world) {
			for range kills {
				w.live(roll("moves", 100))
				w.kill(w.members[w.likely()])
			}
			w.live(roll("moves", 100))
			if w.conclude() > 0 {
				w.fail("it did not end by itself")
			}
		})
	})
}

func TestAnyRolloutComesToAnEndThatIsTold(t *testing.T) {
	c := stage(t)
	rapid.Check(t, func(rt *rapid.T) {
		roll := drawn(rt)
		inWorld(rt, c, anySetting(roll), roll, func(w *world) {
			w.live(roll("moves", 400))
			w.conclude()
		})
	})
}

// Pause, resume, roll-back, stop and start, most of all between grant and claim.
func TestWhateverIsAskedAtAnyMomentNothingNewBegins(t *testing.T) {
	c := stage(t)
	rapid.Check(t, func(rt *rapid.T) {
		roll := drawn(rt)
		s := anySetting(roll)
		s.level, s.build, s.acts, s.misfits, s.faults = max(1, s.level), good, 3+roll("more acts", 12), nil, 0
		inWorld(rt, c, s, roll, func(w *world) {
			w.live(100 + roll("moves", 300))
			w.conclude()
		})
	})
}

// Going back that fails on a member is told, and never said to have gone well.
func TestAWayBackThatIsNotThereIsTold(t *testing.T) {
	c := stage(t)
	rapid.Check(t, func(rt *rapid.T) {
		roll := drawn(rt)
		s := anySetting(roll)
		s.level, s.build, s.acts, s.elections = max(1, s.level), good, 0, 0
		s.misfits = map[misfit]bool{[]misfit{wayBackGone, oldDies}[roll("misfit", 2)]: true}
		inWorld(rt, c, s, roll, func(w *world) {
			w.live(100 + roll("moves", 300))
			if u := w.upgrade(); u != nil && !u.Completed {
				w.apply(store.OpUpgradeRollback, store.UpgradeRollback{ID: u.ID, By: "admin"})
			}
			w.conclude()
		})
	})
}

// S8: members of either version are elected at any moment, in both directions.
func TestWhoeverIsElectedTheFloorHolds(t *testing.T) {
	c := stage(t)
	rapid.Check(t, func(rt *rapid.T) {
		roll := drawn(rt)
		s := anySetting(roll)
		s.voters, s.level, s.build, s.misfits, s.faults, s.options.HoldAfter = 3+roll("more voters", 4), max(1, s.level), good, nil, roll("few faults", 2), 0
		s.acts, s.elections = 0, 20
		inWorld(rt, c, s, roll, func(w *world) {
			w.live(100 + roll("moves", 300))
			if u := w.upgrade(); u != nil && !u.Completed && w.roll("back", 2) == 0 {
				w.elections = 20
				w.apply(store.OpUpgradeRollback, store.UpgradeRollback{ID: u.ID, By: "admin"})
				w.live(100 + roll("moves", 300))
			}
			w.conclude()
		})
	})
}

// manyMembers is a setting in which a rollout of that size goes through, most often.
func manyMembers(size int, roll func(string, int) int) setting {
	s := anySetting(roll)
	s.voters = 1 + roll("voters of many", min(size, 99))
	s.observers, s.build, s.misfits = size-s.voters, build(roll("frail", 2)), nil
	return s
}

func TestAThousandMembersGo(t *testing.T) {
	roll := thrown(1)
	s := manyMembers(1000, roll)
	s.acts, s.faults, s.options.HoldAfter = 0, 2, 0
	inWorld(t, stage(t), s, roll, func(w *world) {
		w.live(20000)
		w.conclude()
		if w.upgrade() == nil {
			t.Error("it was cleared away")
		}
	})
}

func TestHundredsOfMembersGoAndComeBack(t *testing.T) {
	c := stage(t)
	for seed, size := range []int{300, 250, 200, 150, 100, 80, 60, 40, 30, 20} {
		roll := thrown(uint64(seed))
		s := manyMembers(size, roll)
		s.level, s.migrations, s.options.HoldAfter = 1, nil, 1+roll("hold after", size)
		inWorld(t, c, s, roll, func(w *world) {
			w.settle()
			if u := w.upgrade(); u.Paused == nil || !w.anyStep(model.Done) {
				w.fail("it does not hold")
			}
			w.must(store.OpUpgradeRollback, store.UpgradeRollback{ID: w.upgrade().ID, By: "admin"})
			w.live(roll("moves", 20*size))
			w.conclude()
		})
	}
}

func TestRolloutsOfManySizesEnd(t *testing.T) {
	c := stage(t)
	for seed := range uint64(40) {
		roll := thrown(seed)
		size := 8 + roll("size", 8<<roll("magnitude", 5))
		inWorld(t, c, manyMembers(size, roll), roll, func(w *world) {
			w.live(roll("moves", 20*size))
			w.conclude()
		})
	}
}

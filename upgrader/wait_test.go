package upgrader

import (
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

func TestAWaitGoesOnUnderTheNextLeader(t *testing.T) {
	begin := time.Now()
	var first, second clock
	if got := first.passed(model.Wait{}, "turn", begin); got != 0 {
		t.Errorf("a wait begins at %s", got)
	}
	passed := first.passed(model.Wait{}, "turn", begin.Add(10*time.Minute))
	if !first.due(passed, time.Hour) {
		t.Error("ten minutes of an hour went by, and that is not to be recorded")
	}
	recorded := model.Wait{For: "turn", Passed: passed}
	second.passed(recorded, "turn", begin.Add(20*time.Minute)) // the successor begins to look here
	if got := second.passed(recorded, "turn", begin.Add(25*time.Minute)); got != 15*time.Minute {
		t.Errorf("after ten recorded and five lived minutes it has waited %s", got)
	}
	if second.due(15*time.Minute, 2*time.Hour) {
		t.Error("five minutes of two hours are less than a twentieth")
	}
}

func TestAnotherWaitBeginsAnew(t *testing.T) {
	begin := time.Now()
	var c clock
	c.passed(model.Wait{}, "turn of n1", begin)
	if got := c.passed(model.Wait{For: "turn of n1", Passed: time.Hour}, "turn of n2", begin.Add(time.Minute)); got != 0 {
		t.Errorf("another wait begins at %s", got)
	}
}

func TestATurnIsOneWaitUntilTheMemberIsBack(t *testing.T) {
	key := func(step model.Step) string { return waitKey(turn(rollout(), "n2", step), true) }
	if key(model.Waiting) != key(model.Leaving) || key(model.Claimed) != key(model.Draining) {
		t.Error("the clock of a turn starts anew within it")
	}
	if key(model.Leaving) == key(model.Probation) {
		t.Error("probation has no clock of its own")
	}
	again := turn(rollout(), "n2", model.Leaving)
	again.Member("n2").Attempt = 2
	if waitKey(again, true) == key(model.Leaving) {
		t.Error("the next attempt has no clock of its own")
	}
}

func TestAClosedWindowIsAWaitOfItsOwnAndATurnIsNot(t *testing.T) {
	if waitKey(rollout(), true) == waitKey(rollout(), false) {
		t.Error("the clock of the rollout runs on while its window is closed")
	}
	if u := turn(rollout(), "n2", model.Leaving); waitKey(u, true) != waitKey(u, false) {
		t.Error("the clock of a turn starts anew when the window closes")
	}
}

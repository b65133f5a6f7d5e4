package upgrader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// script writes an executable shell script.
func script(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// noting is a hook that notes what it was told, and the file it does that in.
func noting(t *testing.T) (hook, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "told")
	return script(t, fmt.Sprintf(`env | grep -v '^PWD=\|^SHLVL=\|^_=\|^OLDPWD=' | sort | tr '\n' ' ' >>%s; echo >>%s`, file, file)), file
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// over ends the turn of n1 as after a swap.
func over(c *fleet, to model.Step, steps ...model.Step) {
	for i, step := range append(steps, to) {
		if i > 0 {
			c.done(store.OpTurnStep, store.TurnStep{ID: stagedID, Member: "n1", Attempt: 1, From: steps[i-1], To: step})
		}
	}
}

func TestHooksRunOnceAroundATurn(t *testing.T) {
	c, around := draining(t, model.Options{}, "n1", "n2", "n3")
	u := c.members["n1"].up
	hook, file := noting(t)
	t.Setenv("LEAKED", "a secret of the daemon's")
	u.Hooks = Hooks{Drain: hook, Post: hook}
	turn := "PATH=" + os.Getenv("PATH") + " THESEUS_FROM=1.0.0 THESEUS_HOOK=%s THESEUS_MEMBER=name-of-n1 THESEUS_TO=1.1.0"
	u.Self.Name, u.Self.Version = "name-of-n1", "1.0.0"

	if err := u.drain(t.Context(), c.look("n1")); err != nil {
		t.Fatal(err)
	}
	if step := c.look("n1").upgrade.Member("n1").Step; step != model.Draining || around.lame {
		t.Errorf("when the drain hook has run it is at %s, a lame duck: %t", step, around.lame)
	}
	if acted, err := u.afterTurn(t.Context(), c.look("n1")); acted || err != nil {
		t.Errorf("while it drains the post hook runs: %v", err)
	}
	if err := asksWell(t, u); err != nil {
		t.Errorf("while it drains it is not well: %v", err)
	}
	if err := u.drain(t.Context(), c.look("n1")); err != nil {
		t.Fatal(err)
	}
	over(c, model.Done, model.Leaving, model.Probation)
	if err := asksWell(t, u); model.KindOf(err) != model.Unavailable {
		t.Errorf("before the post hook has run another member may go: %v", err)
	}
	u.drained, u.Self.Version = errand{}, "1.1.0" // the next life
	for range 3 {
		if _, err := u.afterTurn(t.Context(), c.look("n1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := asksWell(t, u); err != nil {
		t.Errorf("when all is over: %v", err)
	}
	want := []string{fmt.Sprintf(turn, "drain"), fmt.Sprintf(turn, "post")}
	if diff := cmp.Diff(want, trimmed(linesOf(t, file))); diff != "" {
		t.Errorf("the hooks were told: %s", diff)
	}
}

// asksWell asks a member whether it is well; its loop goes on.
func asksWell(t *testing.T, u *Upgrader) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-u.wake:
				u.passes.Add(1)
			}
		}
	}()
	_, err := u.answerWell(ctx, nil)
	return err
}

func trimmed(lines []string) (all []string) {
	for _, l := range lines {
		all = append(all, strings.TrimSpace(l))
	}
	return all
}

func TestOnTheWayBackAHookIsToldTheVersionsTheOtherWayRound(t *testing.T) {
	c, _ := draining(t, model.Options{}, "n1", "n2", "n3")
	u := c.members["n1"].up
	u.Self.Version = "1.1.0"
	up := c.look("n1").upgrade
	up.Member("n1").From = "1.0.0"
	up.Turn.Back = true
	want := errand{Upgrade: stagedID, Attempt: 1, From: "1.1.0", To: "1.0.0"}
	if got := u.errandOf(up); got != want {
		t.Errorf("it is told %+v", got)
	}
}

func TestADrainHookThatFailsGivesTheTurnBackAndThenFailsTheMember(t *testing.T) {
	c, around := draining(t, model.Options{}, "n1", "n2", "n3")
	u := c.members["n1"].up
	hook, file := noting(t)
	var rested []int
	u.Hooks = Hooks{Drain: script(t, `echo "the balancer says"; echo no >&2; exit 3`), Post: hook,
		Rest: func(failures int) time.Duration { rested = append(rested, failures); return 0 }}

	for attempt := 1; attempt <= Attempts; attempt++ {
		if attempt > 1 {
			c.done(store.OpTurnGrant, store.TurnRef{ID: stagedID, Member: "n1", Attempt: attempt})
			c.done(store.OpTurnClaim, store.TurnClaim{ID: stagedID, Member: "n1", Attempt: attempt})
			c.done(store.OpTurnStep, store.TurnStep{ID: stagedID, Member: "n1", Attempt: attempt, From: model.Claimed, To: model.Draining})
		}
		if err := u.drain(t.Context(), c.look("n1")); err != nil {
			t.Fatal(err)
		}
		want := model.Waiting
		if attempt == Attempts {
			want = model.Broken
		}
		row := c.look("n1").upgrade.Member("n1")
		reason := "drain hook " + u.Hooks.Drain + ": exit status 3: the balancer says no"
		if row.Step != want || row.Reason != reason || around.lame {
			t.Errorf("attempt %d: it is at %s, %q, a lame duck: %t", attempt, row.Step, row.Reason, around.lame)
		}
		if _, err := u.afterTurn(t.Context(), c.look("n1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := linesOf(t, file); len(got) != Attempts {
		t.Errorf("the post hook was told %q", got)
	}
	if diff := cmp.Diff([]int{1, 2}, rested); diff != "" {
		t.Errorf("rests: %s", diff)
	}
}

func TestAPostHookThatFailsIsToldAndChangesNothing(t *testing.T) {
	c, _ := draining(t, model.Options{}, "n1", "n2", "n3")
	u := c.members["n1"].up
	u.Hooks = Hooks{Post: script(t, `echo no >&2; exit 1`)}
	for range 2 {
		if _, err := u.beforeDrain(t.Context(), c.look("n1").upgrade); err != nil {
			t.Fatal(err)
		}
	}
	over(c, model.Done, model.Draining, model.Leaving, model.Probation)
	for range 2 {
		if _, err := u.afterTurn(t.Context(), c.look("n1")); err != nil {
			t.Fatal(err)
		}
	}
	up := c.look("n1").upgrade
	said := slices.DeleteFunc(slices.Clone(up.Transcript), func(l string) bool { return !strings.Contains(l, "post hook") })
	if len(said) != 1 || !strings.Contains(said[0], ": exit status 1: no") || up.Member("n1").Step != model.Done {
		t.Errorf("n1 is at %s, told: %q", up.Member("n1").Step, said)
	}
}

func TestAHookIsGoneWithItsChildrenWhenItsTimeIsOver(t *testing.T) {
	c := newFleet(t, "", "n1")
	u := c.members["n1"].up
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	hook := script(t, fmt.Sprintf("sleep 600 & echo $! >%s.tmp; mv %s.tmp %s; wait", file, file, file))
	ended := make(chan error, 1)
	go func() { ended <- u.runHook(ctx, "drain", hook, errand{}) }()
	var pid string
	for late := time.After(time.Minute); pid == ""; {
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v", err)
		case <-late:
			t.Fatal("it did not begin")
		default:
			pid = linesOf(t, file)[0]
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	awaitEnd(t, "its child", pid)
	// What is left behind by a hook that ends well goes too, and is no failure.
	os.Remove(file)
	hook = script(t, "sleep 600 & echo $! >"+file)
	if err := u.runHook(t.Context(), "drain", hook, errand{}); err != nil {
		t.Error(err)
	}
	awaitEnd(t, "what it left behind", linesOf(t, file)[0])
}

// awaitEnd waits for a process that was killed.
func awaitEnd(t *testing.T, what, pid string) {
	t.Helper()
	for late := time.After(time.Minute); runs(pid); {
		select {
		case <-late:
			t.Fatalf("%s runs on", what)
		default:
			runtime.Gosched()
		}
	}
}

// runs says whether a process does more than wait for its parent to look at it.
func runs(pid string) bool {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	_, state, _ := strings.Cut(string(raw), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

func TestWhatAHookSaysFirstAndLastIsKept(t *testing.T) {
	c := newFleet(t, "", "n1")
	err := c.members["n1"].up.runHook(t.Context(), "post",
		script(t, `i=0; while [ $i -lt 1000 ]; do echo "line $i"; i=$((i+1)); done; exit 1`), errand{})
	if err == nil || !strings.HasSuffix(err.Error(), "line 999") || !strings.Contains(err.Error(), ": line 0") || strings.Contains(err.Error(), "line 500\n") || len(err.Error()) > 3000 {
		t.Errorf("%v", err)
	}
}

func TestAHookThatCannotBeRunIsFoundBeforehand(t *testing.T) {
	good := script(t, "true")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		hooks Hooks
		want  string
	}{
		{Hooks{}, ""},
		{Hooks{Drain: good, Post: good}, ""},
		{Hooks{Drain: good + "-not"}, "drain hook: " + good + "-not: there is no such file"},
		{Hooks{Post: filepath.Dir(good)}, "post hook: " + filepath.Dir(good) + ": it is not a file"},
		{Hooks{Drain: good, Post: plain}, "post hook: " + plain + ": this process may not execute it"},
	} {
		found := one.hooks.look()
		if one.want == "" && len(found) == 0 {
			continue
		}
		if len(found) != 1 || !strings.HasPrefix(found[0].What, one.want) || one.want == "" ||
			found[0].Severity != model.Hard || found[0].Name != preflight.Prerequisites || found[0].Remedy == "" {
			t.Errorf("%+v: %+v", one.hooks, found)
		}
	}
}

func TestANoteOfWhatWasOwedThatCannotBeReadHoldsNothingUp(t *testing.T) {
	c := newFleet(t, "", "n1")
	u := c.members["n1"].up
	u.Hooks.Post = script(t, "exit 1")
	if err := os.WriteFile(filepath.Join(u.DataDir, oweFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if acted, err := u.afterTurn(t.Context(), c.look("n1")); acted || err != nil {
		t.Errorf("acted %t, %v", acted, err)
	}
	if err := u.posted(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

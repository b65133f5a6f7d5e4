package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
	"github.com/theseusd/theseus/model"
)

const (
	size       = 3
	patience   = 3 * time.Minute  // for a whole run
	endWithin  = 90 * time.Second // from the last harm healed to an end
	controlFor = 10 * time.Second // for what a scenario asks for
)

// trial is one run: a cluster, what harms it, and who is harmed just now.
type trial struct {
	scenario
	lab     *lab
	net     network
	dir     string
	bin     string // directory of the old build
	file    string // the archive
	allLogs bool
	c       *e2e.Cluster
	w       *watch
	l       *load

	mu      sync.Mutex           // held for what follows
	targets map[string]bool      // members that may be dead by our doing
	down    map[string]time.Time // since when a member cannot answer by our doing
	notes   []string             // what was done, for whoever reads the logs
	said    string               // the last of them
}

// try makes run n.
func (o options) try(ctx context.Context, l *lab, place, n int) (r result) {
	began := time.Now()
	k, s := l.draw(o.dice(n), n, o.only)
	r = result{n: n, kind: k, what: s.what}
	t := &trial{scenario: s, lab: l, net: network{place}, dir: filepath.Join(l.shop.Dir, "runs", fmt.Sprint(n)), allLogs: o.all,
		targets: map[string]bool{}, down: map[string]time.Time{}}
	if err := t.make(ctx); err != nil {
		r.outcome, r.wrong = "not begun", []string{err.Error()}
		return r
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the run took longer than %s", patience))
	defer cancel()
	outcome, wrong, err := t.play(ctx, o.seed+uint64(n), &r)
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	r.outcome, r.wrong, r.took = outcome, wrong, time.Since(began)
	if err := t.leave(&r, filepath.Join(o.keep, fmt.Sprintf("%d-%d", o.seed, n))); err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
	return r
}

// make makes what the run needs: to build takes as long as it takes.
func (t *trial) make(ctx context.Context) (err error) {
	if t.bin, err = t.lab.shop.Binaries(ctx, t.old); err != nil {
		return err
	}
	if t.file, err = t.pack(ctx, t.good()); err != nil || !t.bad() {
		return err
	}
	if t.archive != nil { // a bad one comes first
		t.file, err = t.archive(ctx, t.lab)
	} else {
		t.file, err = t.pack(ctx, t.next)
	}
	return err
}

// pack is a package of b, with the migration of the scenario.
func (t *trial) pack(ctx context.Context, b e2e.Build) (string, error) {
	if t.moves != "" {
		return t.lab.moving(ctx, b, t.moves)
	}
	return t.lab.archive(ctx, b)
}

// play is a run from its first member to its verdict.
func (t *trial) play(ctx context.Context, seed uint64, r *result) (outcome string, wrong []string, err error) {
	if err := t.found(ctx); err != nil {
		return "not begun", nil, fmt.Errorf("make the cluster: %w", err)
	}
	if err := t.seed(ctx); err != nil {
		return "not begun", nil, err
	}
	if t.l, err = startLoad(ctx, t.c, seed); err != nil {
		return "not begun", nil, err
	}
	t.w = startWatch(ctx, t)
	outcome, err = t.upgrade(ctx)
	if err == nil && (t.verdict == recovers && outcome != "finished" || t.verdict == stays) {
		outcome, err = t.once(ctx, outcome)
	}
	if err != nil {
		err = fmt.Errorf("%w; it was %s", err, t.say())
	}
	return outcome, t.judge(ctx, outcome, err == nil, r), err
}

// found makes the cluster that the scenario wants.
func (t *trial) found(ctx context.Context) error {
	key, err := t.lab.key(ctx)
	if err != nil {
		return err
	}
	if err := t.net.lay(); err != nil {
		return err
	}
	t.c, err = e2e.Start(ctx, e2e.Plan{Dir: t.dir, Bin: t.bin, TrustedKey: key + ".pub", Prepare: func(m *e2e.Member) error {
		t.net.settle(m)
		if t.prepare == nil {
			return nil
		}
		return t.prepare(m)
	}})
	if err == nil && t.leader != 0 {
		err = t.c.Transfer(ctx, t.c.Members[t.leader])
	}
	return err
}

// upgrade stages and starts while the scenario strikes, and waits for the end.
func (t *trial) upgrade(ctx context.Context) (outcome string, err error) {
	over, stop := context.WithCancel(ctx)
	defer stop()
	struck, done := make(chan error, 1), make(chan struct{})
	begin := sync.OnceFunc(func() {
		go func() {
			struck <- t.strikes(over)
			close(done)
		}()
	})
	if t.early {
		begin()
	}
	outcome, err = t.begun(ctx)
	begin()
	if err == nil && outcome == "" && !t.controls {
		outcome, err = t.ends(ctx)
	}
	if t.controls {
		t.controlled(over, done)
	}
	stop()
	if err := errors.Join(err, <-struck, t.heal(ctx)); err != nil || outcome == "refused" {
		return outcome, err
	}
	return t.ends(ctx) // what was done last may have changed it
}

// controlled waits until everything was asked for that a scenario asks for, or
// until that cannot come any more.
func (t *trial) controlled(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(controlFor):
	case <-ctx.Done():
	}
}

// begun stages and starts, as often as it takes while members are harmed. The
// outcome is refused when an archive was that must be.
func (t *trial) begun(ctx context.Context) (outcome string, err error) {
	if refused, err := t.staged(ctx, t.file); err != nil || refused {
		return "refused", err
	}
	if t.between != nil {
		if err := t.between(ctx, t); err != nil {
			return "", err
		}
	}
	return "", t.started(ctx, t.options)
}

func (t *trial) staged(ctx context.Context, file string) (refused bool, err error) {
	there := false
	err = e2e.Until(ctx, "the archive to be staged", func() (bool, error) {
		ask, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		a, err := t.c.Stage(ask, t.c.Members[t.via], file)
		if err != nil {
			return false, err
		}
		refused = a.Status == http.StatusUnprocessableEntity && t.verdict == stays
		if a.Status == http.StatusOK || a.Status == http.StatusCreated || refused {
			t.note("stage: %d %.200s", a.Status, a.Body)
			return true, nil
		}
		t.note("stage: %d %.300s", a.Status, a.Body)
		if strings.Contains(string(a.Body), "every member runs this build") {
			there = true
			return true, nil
		}
		return t.isOver(ctx), fmt.Errorf("stage: %d %.300s", a.Status, a.Body)
	})
	if there {
		return false, errThere
	}
	return refused, err
}

// errThere is of an upgrade that was over before it was cleared away.
var errThere = errors.New("every member runs the archive's build already")

// started starts it through as many members at once as the scenario says.
func (t *trial) started(ctx context.Context, options string) error {
	return e2e.Until(ctx, "the upgrade to start", func() (bool, error) {
		answers := make(chan error, t.starts+1)
		for i := range t.starts + 1 {
			go func() {
				ask, cancel := context.WithTimeout(ctx, 20*time.Second)
				defer cancel()
				answers <- t.c.Run(ask, t.c.Members[(t.via+i)%size], options)
			}()
		}
		var errs []error
		for range t.starts + 1 {
			errs = append(errs, <-answers)
		}
		took := slices.Contains(errs, nil)
		t.note("start: %v", errs)
		return took || t.isOver(ctx), errors.Join(errs...)
	})
}

// isOver says whether the upgrade is past its start or was cleared by the
// scenario: starting it is in vain.
func (t *trial) isOver(ctx context.Context) bool {
	outcome, _, err := t.look(ctx, t.c.Members[(t.via+1)%size])
	return err == nil && (outcome == "working" || outcome == "finished" || outcome == "cleared" && t.clears)
}

// look is the upgrade in one word, as m has it: staged, working, paused,
// completing, finished, failed or cleared.
func (t *trial) look(ctx context.Context, m *e2e.Member) (outcome string, s e2e.Status, err error) {
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	s, err = t.c.Status(ask, m)
	var refusal *model.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == http.StatusNotFound:
		return "cleared", s, nil
	case err != nil:
		return "", s, err
	case s.Status == "finished" && !s.Completed:
		return "completing", s, nil
	case s.Status == "working" && s.Paused != nil && s.Working == "":
		return "paused", s, nil
	}
	return s.Status, s, nil
}

// ends waits for an end that every member sees.
func (t *trial) ends(ctx context.Context) (outcome string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, endWithin, fmt.Errorf("no end within %s", endWithin))
	defer cancel()
	err = e2e.Until(ctx, "the upgrade to end", func() (bool, error) {
		outcome = ""
		for _, m := range t.c.Members {
			one, s, err := t.look(ctx, m)
			if err != nil {
				return false, err
			}
			t.goOn(ctx, m, one)
			if !slices.Contains(t.allowed(), one) || outcome != "" && one != outcome {
				return false, fmt.Errorf("%s says %s, waiting for %+v", m.Name, one, s.WaitingFor)
			}
			outcome = one
		}
		return true, nil
	})
	return outcome, err
}

// goOn lets an upgrade go on that a scenario left paused or held.
func (t *trial) goOn(ctx context.Context, m *e2e.Member, outcome string) {
	path := map[string]string{"paused": resumePath, "completing": completePath}[outcome]
	if (t.controls || t.moves != "") && path != "" {
		a, err := t.c.Do(ctx, m, e2e.Request{Method: "POST", Path: path})
		t.note("POST %s: %d %.100s %v", path, a.Status, a.Body, err)
	}
}

func (t *trial) allowed() []string {
	some := []string{"failed"}
	if t.verdict == recovers {
		some = append(some, "finished")
	}
	if t.verdict == halts {
		some = append(some, "paused")
	}
	if t.clears {
		some = append(some, "cleared")
	}
	return some
}

// once more, with nobody harmed: a good build must go everywhere after whatever
// happened to it, also where a bad one was tried.
func (t *trial) once(ctx context.Context, outcome string) (string, error) {
	t.verdict, t.starts, t.clears = recovers, 0, false
	if err := t.stillOld(ctx, outcome); err != nil {
		return outcome, err
	}
	if t.restage || t.bad() || outcome == "cleared" {
		err := t.anew(ctx, outcome)
		if errors.Is(err, errThere) {
			return outcome, nil
		}
		if err != nil {
			return outcome, err
		}
	}
	if err := t.started(ctx, `{"probation":"0s","deadline":"30s","force":true}`); err != nil {
		return outcome, err
	}
	end, err := t.ends(ctx)
	if err == nil && end != "finished" {
		err = fmt.Errorf("with nobody harmed, a good build ended %s", end)
	}
	return outcome + ", then " + end, err
}

// stillOld: a bad build must have left every member as it was.
func (t *trial) stillOld(ctx context.Context, outcome string) error {
	if !t.bad() {
		return nil
	}
	if err := t.ready(ctx); err != nil {
		return err
	}
	return t.run(ctx, outcome, t.old)
}

// anew clears the upgrade away and stages the good build.
func (t *trial) anew(ctx context.Context, outcome string) error {
	if outcome == "failed" {
		err := e2e.Until(ctx, "the failed upgrade to be cleared", func() (bool, error) {
			a, err := t.c.Unstage(ctx, t.c.Members[t.via])
			return err == nil && (a.Status == http.StatusOK || a.Status == http.StatusNotFound), err
		})
		if err != nil {
			return err
		}
	}
	file, err := t.pack(ctx, t.good())
	if err != nil {
		return err
	}
	_, err = t.staged(ctx, file)
	return err
}

// good is the build that a bad one of the same version should have been.
func (t *trial) good() e2e.Build {
	if t.bad() {
		return v110
	}
	return t.next
}

func (t *trial) bad() bool { return t.next.Fault != "" || t.archive != nil }

// leave ends the cluster and takes everything of the run away, but for the logs
// of one that failed.
func (t *trial) leave(r *result, keep string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if t.c != nil {
		t.resumeAll()
		err = t.c.Close(ctx)
		if len(r.wrong) > 0 || t.allLogs {
			r.logs = keep
			err = errors.Join(err, t.keepLogs(keep))
		}
		for _, m := range t.c.Members {
			unmount(m)
		}
	}
	t.net.drop()
	return errors.Join(err, os.RemoveAll(t.dir))
}

func (t *trial) keepLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, m := range t.c.Members {
		raw, err := os.ReadFile(m.Log())
		errs = append(errs, err, os.WriteFile(filepath.Join(dir, m.Name+".log"), raw, 0o644))
	}
	return errors.Join(append(errs, os.WriteFile(filepath.Join(dir, "run.txt"), []byte(t.story()), 0o644))...)
}

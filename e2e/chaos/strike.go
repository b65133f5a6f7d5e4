package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	pausePath    = "/api/v3/system/upgrade/pause"
	resumePath   = "/api/v3/system/upgrade/resume"
	completePath = "/api/v3/system/upgrade/complete"
	rollbackPath = "/api/v3/system/upgrade/rollback"
)

// strike harms a cluster and heals it again. When ctx ends it stops harming; it
// always heals.
type strike func(ctx context.Context, t *trial) error

// strikes makes all strikes of the scenario, beside each other.
func (t *trial) strikes(ctx context.Context) error {
	errs := make(chan error, len(t.strike))
	for _, s := range t.strike {
		go func() { errs <- s(ctx, t) }()
	}
	var all error
	for range t.strike {
		all = errors.Join(all, <-errs)
	}
	return all
}

// moment is when a strike begins: a while after the start, after a member was
// first seen in a step, or after data was first seen to be moved.
type moment struct {
	step   string
	moving bool // once data is moved
	after  time.Duration
}

func (m moment) String() string {
	switch {
	case m.moving:
		return m.after.String() + " after data was moved"
	case m.step == "":
		return "after " + m.after.String()
	}
	return m.after.String() + " after " + m.step
}

// await waits for the moment; false: the upgrade ended before it came.
func (m moment) await(ctx context.Context, t *trial) bool {
	for m.step != "" && !t.w.saw(m.step) || m.moving && !t.moving(ctx) {
		if !pass(ctx, lookEvery) {
			return false
		}
	}
	return pass(ctx, m.after)
}

// pass lets time pass, and says whether ctx still goes on.
func pass(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// who is a member by its role when it is struck.
type who struct {
	leads bool
	nth   int // of the others
}

func (w who) String() string {
	if w.leads {
		return "the leader"
	}
	return "a follower"
}

// find is the member. While nobody leads, any will do.
func (w who) find(ctx context.Context, t *trial) *e2e.Member {
	for _, asked := range t.c.Members {
		ask, cancel := context.WithTimeout(ctx, askFor)
		leader, err := t.c.Leader(ask, asked)
		cancel()
		if err != nil || leader == nil {
			continue
		}
		if w.leads {
			return leader
		}
		return t.c.Members[(t.net.of(leader)+1+w.nth)%size]
	}
	return t.c.Members[w.nth]
}

// harm notes that m does not answer by our doing; mend that it may again.
func (t *trial) harm(m *e2e.Member, what string) {
	t.target(m)
	t.note("%s: %s", m.Name, what)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down[m.Name] = time.Now()
}

// target notes that m may be dead by our doing from now on.
func (t *trial) target(m *e2e.Member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.targets[m.Name] = true
}

func (t *trial) mend(m *e2e.Member) {
	t.note("%s: healed", m.Name)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.down, m.Name)
}

func (t *trial) harmed(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.targets[name]
}

// downFor are the members that at a time had been harmed for more than d.
func (t *trial) downFor(d time.Duration, at time.Time) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, since := range t.down {
		if at.Sub(since) > d {
			names = append(names, name)
		}
	}
	return names
}

func (t *trial) dead() (names []string) {
	for _, m := range t.c.Members {
		if _, runs := m.Daemon(); !runs {
			names = append(names, m.Name)
		}
	}
	return names
}

// note remembers what happened, for run.txt; the same again only once.
func (t *trial) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if line != t.said {
		t.notes = append(t.notes, time.Now().UTC().Format("15:04:05.000 ")+line)
	}
	t.said = line
}

func (t *trial) story() string {
	t.mu.Lock()
	notes := strings.Join(t.notes, "\n")
	t.mu.Unlock()
	return t.what + "\n" + notes + "\n" + t.say() + "\n"
}

// say is the upgrade as it was last seen.
func (t *trial) say() string {
	if t.w == nil {
		return "not begun"
	}
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	s := t.w.last
	return fmt.Sprintf("%s %s, waiting for %+v, members %+v\n%s", s.Status, s.Final, s.WaitingFor, s.Nodes, strings.Join(s.Transcript, "\n"))
}

// revive starts m unless its watcher already has.
func (t *trial) revive(m *e2e.Member) error {
	defer t.mend(m)
	if _, runs := m.Daemon(); runs {
		return nil
	}
	return m.Start()
}

// heal undoes every harm that a strike may have left.
func (t *trial) heal(context.Context) (err error) {
	for i, m := range t.c.Members {
		err = errors.Join(err, t.net.join(i), spare(m.Data()), spare(m.Bin()))
	}
	t.resumeAll()
	for _, m := range t.c.Members {
		if t.harmed(m.Name) {
			err = errors.Join(err, t.revive(m))
		}
	}
	return err
}

// resumeAll lets every process go on that was stopped.
func (t *trial) resumeAll() {
	for _, m := range t.c.Members {
		all, _ := m.Processes()
		for _, p := range all {
			syscall.Kill(p.PID, syscall.SIGCONT)
		}
	}
}

// crash lets a member die at a crash point, and starts it again after a while.
func crash(w who, leader int, rest time.Duration) strike {
	return func(ctx context.Context, t *trial) error {
		m := t.c.Members[leader]
		if !w.leads {
			m = t.c.Members[(leader+1+w.nth)%size]
		}
		t.target(m)
		if err := os.Mkdir(filepath.Dir(deathNote(m)), 0o755); err != nil {
			return err
		}
		for !there(deathNote(m)) {
			if !pass(ctx, lookEvery) {
				return nil // it does not come there
			}
		}
		t.harm(m, "died at its crash point")
		pass(ctx, rest)
		return t.revive(m)
	}
}

// deathNote is where a process writes that it dies. It dies only if it can, and
// once: the directory is made when its time has come.
func deathNote(m *e2e.Member) string { return filepath.Join(m.Dir, "crash", "note") }

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// partition cuts a member off for a while.
func partition(at moment, w who, c cut, long time.Duration) strike {
	return func(ctx context.Context, t *trial) error {
		if !at.await(ctx, t) {
			return nil
		}
		m := w.find(ctx, t)
		t.harm(m, "cut off "+string(c))
		defer t.mend(m)
		i := t.net.of(m)
		if err := t.net.sever(i, c); err != nil {
			return err
		}
		pass(ctx, long)
		return t.net.join(i)
	}
}

// onTheirWay is what requests on loopback get to arrive before a process goes on.
const onTheirWay = 30 * time.Millisecond

// freeze stops a member's process for a while.
func freeze(at moment, w who, long time.Duration) strike {
	return func(ctx context.Context, t *trial) error {
		if !at.await(ctx, t) {
			return nil
		}
		m := w.find(ctx, t)
		p, runs := m.Daemon()
		if !runs {
			return nil
		}
		t.harm(m, fmt.Sprintf("process %d stopped", p.PID))
		defer t.mend(m)
		ask := t.l.lurk(ctx, m)
		syscall.Kill(p.PID, syscall.SIGSTOP)
		pass(ctx, long)
		hear := ask()
		pass(context.WithoutCancel(ctx), onTheirWay)
		syscall.Kill(p.PID, syscall.SIGCONT)
		hear()
		return nil
	}
}

// full fills a disk of a member for a while.
func full(at moment, nth int, dir func(*e2e.Member) string, long time.Duration) strike {
	return func(ctx context.Context, t *trial) error {
		if !at.await(ctx, t) {
			return nil
		}
		m := t.c.Members[nth]
		t.target(m) // and not down: until it writes it knows nothing of it
		t.note("%s: full: %s", m.Name, dir(m))
		err := fill(dir(m))
		pass(ctx, long)
		return errors.Join(err, spare(dir(m)), t.revive(m))
	}
}

// kill kills the daemons of members, with their watchers or without.
func kill(at moment, victims []int, watchers bool, rest time.Duration) strike {
	return func(ctx context.Context, t *trial) (err error) {
		if !at.await(ctx, t) {
			return nil
		}
		for _, i := range victims {
			m := t.c.Members[i]
			t.harm(m, "killed")
			if p, runs := m.Daemon(); runs && !watchers {
				syscall.Kill(p.PID, syscall.SIGKILL)
			}
			if watchers {
				err = errors.Join(err, m.Kill(context.WithoutCancel(ctx)))
			}
		}
		pass(ctx, rest)
		for _, i := range victims {
			err = errors.Join(err, t.revive(t.c.Members[i]))
		}
		return err
	}
}

// act asks for something through a member, once, and takes any answer that is
// one; what comes of it the end shows.
func act(at moment, through int, method, path string) strike {
	return func(ctx context.Context, t *trial) error {
		if !at.await(ctx, t) {
			return nil
		}
		ask, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		a, err := t.c.Do(ask, t.c.Members[through], e2e.Request{Method: method, Path: path})
		t.note("%s %s: %d %.200s %v", method, path, a.Status, a.Body, err)
		if err == nil && a.Status >= http.StatusInternalServerError && a.Status != http.StatusServiceUnavailable {
			return fmt.Errorf("%s %s: %d %.300s", method, path, a.Status, a.Body)
		}
		return nil
	}
}

// flip changes a byte of a file of a member.
func flip(nth int, where float64, of func(*e2e.Member) []string) strike {
	return func(ctx context.Context, t *trial) error {
		m := t.c.Members[nth]
		file := big(ctx, m, of)
		if file == "" {
			return nil // the staging is over, and nothing of it here
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		at := int64(float64(info.Size()) * where)
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], at)
		t.note("%s: byte %d of %s flipped", m.Name, at, filepath.Base(file))
		return err
	}
}

// big waits for one of a member's files that is large: for some of it, if it is
// still on its way.
func big(ctx context.Context, m *e2e.Member, of func(*e2e.Member) []string) string {
	for {
		for _, file := range of(m) {
			if info, err := os.Stat(file); err == nil && info.Size() > 1<<20 {
				return file
			}
		}
		if !pass(ctx, 2*time.Millisecond) {
			return ""
		}
	}
}

// archives are a member's own copies of archives.
func archives(m *e2e.Member) []string {
	files, _ := filepath.Glob(filepath.Join(m.Data(), "state", "*", "archives", "*"))
	return files
}

// unpacked are the binaries that a member has made ready beside its own.
func unpacked(m *e2e.Member) []string {
	files, _ := filepath.Glob(filepath.Join(m.Bin(), ".*"))
	return slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "previous") })
}

// later is a moment for the next of several acts.
func later(r *rand.Rand, at moment) moment {
	at.after += time.Duration(r.IntN(1500)) * time.Millisecond
	return at
}

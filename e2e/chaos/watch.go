package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	lookEvery = 20 * time.Millisecond
	askFor    = 1500 * time.Millisecond
	// longDown is how long a member must have been harmed before the upgrade is
	// blamed for sending another one away: it may have looked just before.
	longDown = 6 * time.Second
)

// outSteps are those of a member that has left or is about to.
var outSteps = []string{"claimed", "draining", "leaving"}

// way is the steps of a member that a strike can wait for, in their order.
var way = []string{"claimed", "draining", "leaving", "probation", "done"}

// watch looks at a cluster all the time. It keeps the record that it saw last,
// the steps that members were seen in, and every time that more than one member
// was out by the upgrade's doing.
type watch struct {
	t    *trial
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex // held for what follows
	last  e2e.Status
	steps map[string]bool
	wrong []string
	left  map[string]bool // "member attempt" whose leaving was looked at
}

func startWatch(ctx context.Context, t *trial) *watch {
	w := &watch{t: t, steps: map[string]bool{}, left: map[string]bool{}}
	ctx, w.stop = context.WithCancel(ctx)
	for _, m := range t.c.Members {
		w.done.Go(func() {
			for ctx.Err() == nil {
				w.look(ctx, m)
				select {
				case <-time.After(lookEvery * size):
				case <-ctx.Done():
				}
			}
		})
	}
	return w
}

// look asks one member for the record. A member counts as dead only if it was so
// before and after.
func (w *watch) look(ctx context.Context, m *e2e.Member) {
	dead := w.t.dead()
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	s, err := w.t.c.Status(ask, m)
	if err != nil {
		return
	}
	after := w.t.dead()
	dead = slices.DeleteFunc(dead, func(name string) bool { return !slices.Contains(after, name) })
	w.note(m, s, dead)
}

func (w *watch) note(by *e2e.Member, s e2e.Status, dead []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = s
	var out []string
	for _, n := range s.Nodes {
		w.steps[n.Step] = true
		if slices.Contains(outSteps, n.Step) {
			out = append(out, n.Name)
			w.blame(n)
		}
	}
	for _, name := range dead {
		if !w.t.harmed(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) > 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("%s are out at once, seen through %s", out, by.Name))
	}
}

// blame notes that a member claimed its turn, or left, while another had been down
// for long. When that was, the record says: it may be seen late. The caller holds mu.
func (w *watch) blame(n e2e.Node) {
	step := fmt.Sprint(n.Name, " ", n.Attempt, " ", n.Step)
	at, err := time.Parse(time.RFC3339Nano, n.Since)
	if n.Step == "draining" || w.left[step] || err != nil {
		return
	}
	w.left[step] = true
	for _, name := range w.t.downFor(longDown, at) {
		if name != n.Name {
			w.wrong = append(w.wrong, fmt.Sprintf("%s was %s while %s had been down for more than %s", n.Name, n.Step, name, longDown))
		}
	}
}

// saw says whether any member was seen in step, or in one that comes after it:
// some are over before anybody looks.
func (w *watch) saw(step string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(way[slices.Index(way, step):], func(s string) bool { return w.steps[s] })
}

func (w *watch) end() (last e2e.Status, wrong []string) {
	w.stop()
	w.done.Wait()
	return w.last, w.wrong
}

package e2e

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Watchman looks at a cluster all the time and notes when more than one member
// is out: its process is dead, or the record says that it has claimed its turn
// and is not back.
type Watchman struct {
	c    *Cluster
	stop context.CancelFunc
	done sync.WaitGroup

	mu   sync.Mutex // held for what follows
	seen int
	two  []string
}

// out are the steps of a member that has left or is about to.
var out = map[string]bool{"claimed": true, "draining": true, "leaving": true}

// Watch starts a Watchman. Stop it.
func (c *Cluster) Watch(ctx context.Context) *Watchman {
	ctx, stop := context.WithCancel(ctx)
	w := &Watchman{c: c, stop: stop}
	w.done.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for turn := 0; ; turn++ {
			w.look(ctx, c.Members[turn%len(c.Members)])
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return w
}

// look asks m for the record, and counts a member as dead only if it was so both
// before and after: then it was dead at the moment that the answer speaks of, or
// the answer is older than its death by no more than m lags behind.
func (w *Watchman) look(ctx context.Context, m *Member) {
	dead := w.dead()
	if dead[m.Name] {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, staleAfter)
	defer cancel()
	s, err := w.c.Status(ctx, m)
	if err != nil {
		return // away, or nothing staged: the next look tells
	}
	after := w.dead()
	away := map[string]string{}
	for name := range dead {
		if after[name] {
			away[name] = "dead"
		}
	}
	for _, n := range s.Nodes {
		if out[n.Step] {
			away[n.Name] = n.Step
		}
	}
	w.note(m, away)
}

func (w *Watchman) dead() map[string]bool {
	dead := map[string]bool{}
	for _, m := range w.c.Members {
		if _, runs := m.Daemon(); !runs {
			dead[m.Name] = true
		}
	}
	return dead
}

func (w *Watchman) note(by *Member, away map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	if len(away) > 1 {
		w.two = append(w.two, fmt.Sprintf("%s, seen through %s: %v", time.Now().Format("15:04:05.000"), by.Name, away))
	}
}

// Stop ends the watch. It answers how often it could look, and every time that
// it saw more than one member out.
func (w *Watchman) Stop() (looks int, two []string) {
	w.stop()
	w.done.Wait()
	return w.seen, w.two
}

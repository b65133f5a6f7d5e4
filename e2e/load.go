package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
)

// ringSize is how many params a writer writes in turn. Each must hold, in the
// end, the last value that was acknowledged for it.
const ringSize = 16

// Load is raw clients on every member of a cluster.
type Load struct {
	cluster *Cluster
	talkers []*talker

	stop context.CancelFunc
	done sync.WaitGroup
}

// talker is a client with a profile of its own that it writes and reads. It
// remembers what was acknowledged; its goroutine owns that until the load ends.
type talker struct {
	Client
	profile string
	every   int           // which of its requests write: 1 all, 2 every other
	acked   [ringSize]int // the last acknowledged value of each param; 0: none
	sent    [ringSize]int // the last value sent
}

// StartLoad starts two clients on every member, one that keeps its connection
// and one that opens a new one for every request, with pace between their
// requests. Reads and writes take turns.
func (c *Cluster) StartLoad(ctx context.Context, pace time.Duration) (*Load, error) {
	l := &Load{cluster: c}
	for _, m := range c.Members {
		l.add(m, "keep-alive", pace, 2)
		l.add(m, "new-connection", pace, 2).Fresh = true
	}
	return l, l.start(ctx)
}

// StartWriters starts one client on every member that keeps its connection and
// only writes.
func (c *Cluster) StartWriters(ctx context.Context, pace time.Duration) (*Load, error) {
	l := &Load{cluster: c}
	for _, m := range c.Members {
		l.add(m, "writing", pace, 1)
	}
	return l, l.start(ctx)
}

func (l *Load) add(m *Member, kind string, pace time.Duration, every int) *Client {
	t := &talker{profile: "load-" + m.Name + "-" + kind, every: every}
	t.Client = Client{Name: m.Name + " " + kind, Addr: m.API, CA: l.cluster.CA, Pace: pace,
		Next: t.next(l.cluster.Auth), Writes: t.writes, Accept: t.accept}
	l.talkers = append(l.talkers, t)
	return &t.Client
}

// start creates the profiles and lets the clients run.
func (l *Load) start(ctx context.Context) error {
	for i, t := range l.talkers {
		m := l.cluster.Members[i%len(l.cluster.Members)]
		if err := l.cluster.CreateProfile(ctx, m, t.profile); err != nil {
			return err
		}
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	for _, t := range l.talkers {
		l.done.Go(func() { t.Run(running) })
	}
	return nil
}

func (t *talker) writes(n int) bool { return n%t.every == 0 }

// slot is the param that request n writes.
func (t *talker) slot(n int) int { return n / t.every % ringSize }

func (t *talker) next(auth string) func(int) Request {
	path := "/api/v3/profiles/" + t.profile
	return func(n int) Request {
		if !t.writes(n) {
			return Request{Method: "GET", Path: path, Auth: auth}
		}
		t.sent[t.slot(n)] = n + 1
		return Text("POST", fmt.Sprintf("%s/params/p%d", path, t.slot(n)), auth, fmt.Sprint(n+1))
	}
}

func (t *talker) accept(n int, a Answer) error {
	switch {
	case t.writes(n) && (a.Status == http.StatusOK || a.Status == http.StatusCreated):
		t.acked[t.slot(n)] = n + 1
		return nil
	case a.Status != http.StatusOK:
		return unexpected(a)
	}
	var p model.Profile
	if err := json.Unmarshal(a.Body, &p); err != nil || p.Name != t.profile {
		return fmt.Errorf("not the profile %s: %s", t.profile, a.Body)
	}
	return nil
}

func unexpected(a Answer) error {
	return fmt.Errorf("answer %d: %.300s", a.Status, a.Body)
}

// Stop ends the load, lets requests under way finish, and adds up.
func (l *Load) Stop() Tallies {
	l.stop()
	l.done.Wait()
	return l.Tallies()
}

// Tallies is what came of all requests so far.
func (l *Load) Tallies() Tallies {
	var all Tallies
	for _, t := range l.talkers {
		all = append(all, t.Tally())
	}
	return all
}

// Lost compares what the cluster holds with what it acknowledged, by consistent
// reads through m. Call it after Stop; nil means that nothing was lost.
func (l *Load) Lost(ctx context.Context, m *Member) error {
	var errs []error
	for _, t := range l.talkers {
		var params map[string]int
		path := "/api/v3/profiles/" + t.profile + "/params?consistent=true"
		if err := l.cluster.Get(ctx, m, path, &params); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, t.lost(params))
	}
	return errors.Join(errs...)
}

func (t *talker) lost(params map[string]int) error {
	var errs []error
	for i, acked := range t.acked {
		// A write that was sent and not acknowledged may have been applied.
		if got := params[fmt.Sprintf("p%d", i)]; got != acked && got != t.sent[i] {
			errs = append(errs, fmt.Errorf("profile %s, param p%d: %d was acknowledged, it holds %d", t.profile, i, acked, got))
		}
	}
	return errors.Join(errs...)
}

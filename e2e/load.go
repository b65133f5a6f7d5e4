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

// Load is raw clients on every member of a cluster: a reader and a writer that
// keep their connection, and a reader and a writer that open a new one each time.
type Load struct {
	cluster *Cluster
	clients []*Client
	writers []*writer

	stop context.CancelFunc
	done sync.WaitGroup
}

// writer remembers what was acknowledged; its client's goroutine owns it until
// the load has ended.
type writer struct {
	profile string
	acked   [ringSize]int // the last acknowledged value of each param; 0: none
	sent    [ringSize]int // the last value sent
}

// StartLoad creates a profile for every writer and starts the clients, each
// with pace between its requests.
func (c *Cluster) StartLoad(ctx context.Context, pace time.Duration) (*Load, error) {
	l := &Load{cluster: c}
	for _, m := range c.Members {
		for _, fresh := range []bool{false, true} {
			if err := l.add(ctx, m, fresh, pace); err != nil {
				return nil, err
			}
		}
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	for _, client := range l.clients {
		l.done.Go(func() { client.Run(running) })
	}
	return l, nil
}

func (l *Load) add(ctx context.Context, m *Member, fresh bool, pace time.Duration) error {
	kind := "keep-alive"
	if fresh {
		kind = "new-connection"
	}
	w := &writer{profile: "load-" + m.Name + "-" + kind}
	if err := l.cluster.CreateProfile(ctx, m, w.profile); err != nil {
		return err
	}
	read := &Client{Name: m.Name + " " + kind + " reader", Addr: m.API, CA: l.cluster.CA, Fresh: fresh, Pace: pace}
	write := &Client{Name: m.Name + " " + kind + " writer", Addr: m.API, CA: l.cluster.CA, Fresh: fresh, Pace: pace}
	read.Next, read.Accept = reads(w.profile, l.cluster.Auth)
	write.Next, write.Accept = w.next(l.cluster.Auth), w.accept
	l.clients = append(l.clients, read, write)
	l.writers = append(l.writers, w)
	return nil
}

func reads(profile, auth string) (func(int) Request, func(int, Answer) error) {
	request := Request{Method: "GET", Path: "/api/v3/profiles/" + profile, Auth: auth}
	accept := func(_ int, a Answer) error {
		if a.Status != http.StatusOK {
			return unexpected(a)
		}
		var p model.Profile
		if err := json.Unmarshal(a.Body, &p); err != nil || p.Name != profile {
			return fmt.Errorf("not the profile %s: %s", profile, a.Body)
		}
		return nil
	}
	return func(int) Request { return request }, accept
}

func (w *writer) next(auth string) func(int) Request {
	return func(n int) Request {
		w.sent[n%ringSize] = n + 1
		return Text("POST", fmt.Sprintf("/api/v3/profiles/%s/params/p%d", w.profile, n%ringSize), auth, fmt.Sprint(n+1))
	}
}

func (w *writer) accept(n int, a Answer) error {
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		return unexpected(a)
	}
	w.acked[n%ringSize] = n + 1
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
	for _, c := range l.clients {
		all = append(all, c.Tally())
	}
	return all
}

// Lost compares what the cluster holds with what it acknowledged, by consistent
// reads through m. Call it after Stop; nil means that nothing was lost.
func (l *Load) Lost(ctx context.Context, m *Member) error {
	var errs []error
	for _, w := range l.writers {
		var params map[string]int
		path := "/api/v3/profiles/" + w.profile + "/params?consistent=true"
		if err := l.cluster.Get(ctx, m, path, &params); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, w.lost(params))
	}
	return errors.Join(errs...)
}

func (w *writer) lost(params map[string]int) error {
	var errs []error
	for i, acked := range w.acked {
		// A write that was sent and not acknowledged may have been applied.
		if got := params[fmt.Sprintf("p%d", i)]; got != acked && got != w.sent[i] {
			errs = append(errs, fmt.Errorf("profile %s, param p%d: %d was acknowledged, it holds %d", w.profile, i, acked, got))
		}
	}
	return errors.Join(errs...)
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// writePace is that of each writer.
const writePace = 5 * time.Millisecond

// writers is one raw client on every member that keeps its connection and only
// writes. It never sends a write again.
type writers struct {
	each []*writer
	stop context.CancelFunc
	done sync.WaitGroup
}

// writer notes when each of its writes was acknowledged. The client's goroutine
// owns that until the writers end.
type writer struct {
	e2e.Client
	acked []time.Time
}

func startWriters(ctx context.Context, c *e2e.Cluster) (*writers, error) {
	ws := &writers{}
	for _, m := range c.Members {
		profile := "bench-" + m.Name
		if err := c.CreateProfile(ctx, m, profile); err != nil {
			return nil, err
		}
		ws.each = append(ws.each, newWriter(c, m, "/api/v3/profiles/"+profile+"/params/count"))
	}
	running, stop := context.WithCancel(ctx)
	ws.stop = stop
	for _, w := range ws.each {
		ws.done.Go(func() { w.Run(running) })
	}
	return ws, nil
}

func newWriter(c *e2e.Cluster, m *e2e.Member, path string) *writer {
	w := &writer{}
	w.Client = e2e.Client{Name: m.Name, Addr: m.API, CA: c.CA, Pace: writePace,
		Next: func(n int) e2e.Request { return e2e.Text("POST", path, c.Auth, fmt.Sprint(n)) },
		Accept: func(_ int, a e2e.Answer) error {
			if a.Status != http.StatusOK && a.Status != http.StatusCreated {
				return fmt.Errorf("answer %d: %.300s", a.Status, a.Body)
			}
			w.acked = append(w.acked, time.Now())
			return nil
		}}
	return w
}

// Stop ends the writers and answers what came of them.
func (ws *writers) Stop() (all e2e.Tallies) {
	ws.stop()
	ws.done.Wait()
	for _, w := range ws.each {
		all = append(all, w.Tally())
	}
	return all
}

// stall is the longest time between from and to in which the cluster
// acknowledged no write; worst is that of the one writer that waited longest.
// Call it after Stop.
func (ws *writers) stall(from, to time.Time) (cluster, worst time.Duration) {
	var all []time.Time
	for _, w := range ws.each {
		all = append(all, w.acked...)
		worst = max(worst, longestGap(w.acked, from, to))
	}
	slices.SortFunc(all, time.Time.Compare)
	return longestGap(all, from, to), worst
}

// longestGap is the longest pause in sorted moments, from and to being two.
func longestGap(moments []time.Time, from, to time.Time) (gap time.Duration) {
	last := from
	for _, at := range moments {
		if at.Before(from) || at.After(to) {
			continue
		}
		gap, last = max(gap, at.Sub(last)), at
	}
	return max(gap, to.Sub(last))
}

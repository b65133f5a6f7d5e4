package main

import (
	"context"
	"fmt"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// loadPace is that of each client beside the rollout.
const loadPace = 5 * time.Millisecond

// rollout is a whole rolling upgrade without probation, under load.
func rollout(ctx context.Context, b *bench) error {
	return b.with(ctx, 3, func(c *e2e.Cluster) error {
		followers, err := c.Followers(ctx)
		if err != nil {
			return err
		}
		if err := c.Staged(ctx, followers[0], b.archive); err != nil {
			return err
		}
		load, err := c.StartWriters(ctx, loadPace)
		if err != nil {
			return err
		}
		w := &stopwatch{c: c, at: map[string]time.Time{}}
		err = c.Run(ctx, followers[0], `{"probation":"0s"}`)
		if err == nil {
			err = w.run(ctx)
		}
		ts := load.Stop()
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "\nrolling upgrade of three members, probation 0, under %d clients that write\n", len(ts))
		fmt.Fprintf(b, "  from the first claim to the last done  %4d ms\n", w.last.Sub(w.first).Milliseconds())
		for _, m := range c.Members {
			fmt.Fprintf(b, "  %s out of service                     %4d ms\n", m.Name, ts.Of(m.API).LongestGap().Milliseconds())
		}
		fmt.Fprintf(b, "  longest write stall                    %4d ms, the pace of %s included\n", ts.LongestStall().Milliseconds(), loadPace)
		fmt.Fprintf(b, "  requests                               %d, %d failed\n", ts.Requests(), ts.Failed())
		return load.Lost(ctx, c.Members[0])
	})
}

// stopwatch reads the record, through the members in turn, every few milliseconds.
type stopwatch struct {
	c           *e2e.Cluster
	at          map[string]time.Time
	first, last time.Time
}

func (w *stopwatch) run(ctx context.Context) error {
	tick := time.NewTicker(loadPace)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		s, err := w.c.Status(ctx, w.c.Members[i%len(w.c.Members)])
		if err != nil {
			return err
		}
		now, done := time.Now(), 0
		for _, n := range s.Nodes {
			if n.Step != "waiting" && w.first.IsZero() {
				w.first = now
			}
			if n.Step == "done" {
				done++
			}
		}
		if done == len(s.Nodes) && w.last.IsZero() {
			w.last = now
		}
		switch s.Status {
		case "finished":
			return nil
		case "failed":
			return fmt.Errorf("the upgrade failed: %s", s.Final)
		}
	}
	return ctx.Err()
}

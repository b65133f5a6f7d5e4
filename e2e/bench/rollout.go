package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	rollRounds = 3
	calmTime   = time.Second // of the same writers without a rollout, beside it
)

// rolled is one rollout as its writers and the transcript saw it.
type rolled struct {
	whole       time.Duration // from the first claim to the last done
	out         []time.Duration
	stall, own  time.Duration // of the cluster; of the writer that waited longest
	calm, alone time.Duration // the same without a rollout
	requests    int
	failed      int
}

// rollout is a whole rolling upgrade without probation, under a writer on every
// member, beside the same writers when nothing happens.
func rollout(ctx context.Context, b *bench) error {
	var runs []rolled
	for range rollRounds {
		r, err := b.rollOnce(ctx)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	requests, failed := 0, 0
	for _, r := range runs {
		requests, failed = requests+r.requests, failed+r.failed
	}
	t := table{title: fmt.Sprintf("rolling upgrade of three members, probation 0, one writer each, medians of %d", rollRounds)}
	t.aim("from the first claim to the last done", "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.whole) }), 1000)
	for i := range members {
		t.aim(fmt.Sprintf("n%d out of service", i+1), "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.out[i]) }), 1000)
	}
	t.aim("longest write stall, the cluster", "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.stall) }), 20)
	t.add("  the same without a rollout", "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.calm) }))
	t.aim("longest write stall, the worst member", "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.own) }), 50)
	t.add("  the same without a rollout", "%.0f ms", median(runs, func(r rolled) float64 { return millis(r.alone) }))
	t.aim(fmt.Sprintf("writes that failed, of %d", requests), "%.0f", float64(failed), 0)
	t.print(b)
	return nil
}

// rollOnce upgrades a cluster of its own.
func (b *bench) rollOnce(ctx context.Context) (r rolled, err error) {
	err = b.with(ctx, members, func(c *e2e.Cluster) error {
		followers, err := c.Followers(ctx)
		if err != nil {
			return err
		}
		if err := c.Staged(ctx, followers[0], b.archive); err != nil {
			return err
		}
		ws, err := startWriters(ctx, c)
		if err != nil {
			return err
		}
		calm, err := undisturbed(ctx)
		var end e2e.Status
		if err == nil {
			end, err = roll(ctx, c, followers[0])
		}
		ended := time.Now()
		tallies := ws.Stop()
		if err != nil {
			return err
		}
		r.requests, r.failed = tallies.Requests(), tallies.Failed()
		return r.read(ws, calm, end.Transcript, ended)
	})
	return r, err
}

// span is from one moment to another.
type span struct{ from, to time.Time }

// undisturbed lets the writers write for a while.
func undisturbed(ctx context.Context) (s span, err error) {
	s.from = time.Now()
	select {
	case <-time.After(calmTime):
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.to = time.Now()
	return s, err
}

func roll(ctx context.Context, c *e2e.Cluster, m *e2e.Member) (e2e.Status, error) {
	if err := c.Run(ctx, m, `{"probation":"0s"}`); err != nil {
		return e2e.Status{}, err
	}
	end, err := c.Follow(ctx, func(string) {})
	if err == nil && end.Status != "finished" {
		err = fmt.Errorf("the upgrade ended %s: %s", end.Status, end.Final)
	}
	return end, err
}

// read takes the numbers out of what was noted.
func (r *rolled) read(ws *writers, calm span, transcript []string, ended time.Time) error {
	claims, err := momentsOf(transcript, ": claimed")
	dones, err2 := momentsOf(transcript, ": done")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	first, last := claims[0], dones[len(dones)-1]
	r.whole = last.Sub(first)
	r.stall, r.own = ws.stall(first, ended)
	r.calm, r.alone = ws.stall(calm.from, calm.to)
	for _, w := range ws.each {
		r.out = append(r.out, longestGap(w.acked, first, ended))
	}
	return nil
}

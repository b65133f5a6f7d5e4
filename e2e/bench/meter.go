package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// meter notes what a member's process uses between its start and Stop.
type meter struct {
	process e2e.Process
	cpu     int64
	written int64

	stop context.CancelFunc
	done sync.WaitGroup
	peak int64 // RssAnon in KiB; the sampler's until done
	err  error
}

// use is what a process used.
type use struct {
	cpu     time.Duration
	written int64 // bytes to the disk
	peak    int64 // bytes of anonymous memory
}

// startMeters puts a meter on every member.
func startMeters(ctx context.Context, c *e2e.Cluster) (all []*meter, err error) {
	for _, m := range c.Members {
		t, err := startMeter(ctx, m)
		if err != nil {
			_, err = stopMeters(all, err)
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// stopMeters ends all and answers what they found, unless err is there already.
func stopMeters(all []*meter, err error) (uses []use, _ error) {
	for _, t := range all {
		u, stopErr := t.Stop()
		err = errors.Join(err, stopErr)
		uses = append(uses, u)
	}
	return uses, err
}

func startMeter(ctx context.Context, m *e2e.Member) (*meter, error) {
	p, runs := m.Daemon()
	if !runs {
		return nil, fmt.Errorf("%s does not run", m.Name)
	}
	t := &meter{process: p}
	var err error
	if t.cpu, err = p.CPU(); err != nil {
		return nil, err
	}
	if t.written, err = p.IO("write_bytes"); err != nil {
		return nil, err
	}
	ctx, t.stop = context.WithCancel(ctx)
	t.done.Go(func() { t.sample(ctx) })
	return t, nil
}

func (t *meter) sample(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for t.err == nil {
		var now int64
		if now, t.err = t.anon(); now > t.peak {
			t.peak = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (t *meter) anon() (kib int64, err error) {
	text, err := t.process.Status("RssAnon")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64)
}

func (t *meter) Stop() (u use, err error) {
	t.stop()
	t.done.Wait()
	if t.err != nil {
		return u, t.err
	}
	cpu, err := t.process.CPU()
	if err != nil {
		return u, err
	}
	written, err := t.process.IO("write_bytes")
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return use{cpu: time.Duration(cpu-t.cpu) * tick, written: written - t.written, peak: t.peak << 10}, err
}

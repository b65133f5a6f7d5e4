package main

import (
	"context"
	"time"

	"github.com/theseusd/theseus/upgrader/binary"
)

const (
	// startLimit is how long opening may take without a word. A watcher gives
	// a new binary as long as its trial run tells.
	startLimit = 10 * time.Minute
	lookEvery  = time.Second
)

// mainLoop passes the signs of life of the upgrader's loop on to everybody who
// would end a daemon without any.
type mainLoop struct{ *daemon }

func (l mainLoop) Beat(busy time.Duration) {
	misbehaveLate()
	l.manager.Beat()
	l.pulse.Beat(binary.StageServing, busy)
}

func (l mainLoop) Leaving(quiet time.Duration) error { return l.pulse.Leaving(quiet) }

// lookAround notes what this member sees of the cluster until ctx is over.
func (d *daemon) lookAround(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		led, elsewhere := d.node.Sight(ctx)
		switch {
		case led:
			d.pulse.See(binary.Led)
		case elsewhere:
			d.pulse.See(binary.Apart)
		default:
			d.pulse.See(binary.Alone)
		}
		if leader, _ := d.node.Leader(); leader == d.self.ID && d.upgrader.Stalled() && len(d.node.Voters()) > 1 {
			d.handOn(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// handOn gives up the leadership of a member that could not use it.
func (d *daemon) handOn(ctx context.Context) {
	d.log.Error("the main loop stands still; leadership is handed over")
	ctx, cancel := context.WithTimeout(ctx, stopTransfer)
	defer cancel()
	if err := d.node.HandOver(ctx, ""); err != nil {
		d.log.Warn("hand leadership over", "error", err)
	}
}

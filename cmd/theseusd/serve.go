package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/upgrader/binary"
)

// serve runs the member until ctx is over or something under it gives way.
//
// It opens from the bottom floor up and closes in reverse: the API first, so
// that no request finds a closed store, then the upgrader, raft, the store, and
// the lock on the data directory last.
func serve(ctx context.Context, c config) error {
	log, err := c.logger(os.Stderr)
	if err != nil {
		return err
	}
	inherited, err := binary.Inherited()
	if err != nil {
		return fmt.Errorf("take over from the previous image: %w", err)
	}
	if inherited.Again {
		crash.Arrived("exec")
	}
	misbehaveEarly()
	d := &daemon{config: c, inherited: inherited, log: log, manager: newServiceManager(os.Getenv, log)}
	go d.manager.keepAlive(ctx)
	if d.pulse, err = binary.NewPulse(log); err != nil {
		return err
	}
	d.pulse.Beat(binary.StageOpening, startLimit)
	go d.pulse.Run(ctx)
	d.manager.say("STATUS=starting")
	if err := d.lock(); err != nil {
		return alreadyRunning(ctx, c, log, err)
	}
	defer d.close()
	if err := d.open(ctx); err != nil {
		return err
	}
	log.Info("serving", "version", version, "image", d.self.Image, "name", c.Name, "api", d.self.API, "raft", d.self.Raft, "pid", os.Getpid())
	d.manager.ready("serving, version " + version)
	misbehave()
	return d.run(ctx)
}

// run serves until ctx is over: a clean stop, which the watcher is told of.
func (d *daemon) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.upgrader.Run(ctx) })
	g.Go(func() error { return d.jobs.Run(ctx) })
	g.Go(func() error { return d.node.Run(ctx) })
	g.Go(func() error { return d.lookAround(ctx) })
	g.Go(func() error {
		select {
		case err := <-d.served:
			return fmt.Errorf("serve the API: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return d.stop()
	}
	return err
}

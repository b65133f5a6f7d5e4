// Command demo shows Theseus's main job on real input: three members of version
// 1.0.0 become 1.1.0, one at a time, under a load that must not notice. It ends
// with a table and exits 0 only if all is as promised.
//
// With KEEP=1 in the environment the members stay up afterwards.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	limit       = 10 * time.Minute      // for the whole, building included
	pace        = 17 * time.Millisecond // of each client: 58 requests a second
	minRequests = 10_000
	minRate     = 50.0
	maxOut      = time.Second // a member is out of service for less
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Getenv("KEEP") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "theseus-demo-")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the demo took longer than %s", limit))
	defer cancel()
	d := &demo{out: w, dir: dir}
	defer func() { err = d.close(context.WithoutCancel(ctx), keep, err) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.upgrade(ctx)
}

// demo is one run of it.
type demo struct {
	out     io.Writer
	dir     string
	old     string // directory of the binaries of 1.0.0
	next    string // and of 1.1.0
	archive string
	cluster *e2e.Cluster
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// prepare builds both versions, packs and signs 1.1.0, and starts three members.
func (d *demo) prepare(ctx context.Context) error {
	w, err := e2e.NewWorkshop(d.dir)
	if err != nil {
		return err
	}
	d.say("build 1.0.0 and 1.1.0")
	if d.old, err = w.Binaries(ctx, e2e.Build{Version: "1.0.0"}); err != nil {
		return err
	}
	if d.next, err = w.Binaries(ctx, e2e.Build{Version: "1.1.0", Tags: "era"}); err != nil {
		return err
	}
	cli := filepath.Join(d.old, "theseus")
	key, err := w.Key(ctx, cli, "release")
	if err != nil {
		return err
	}
	d.say("pack 1.1.0 and sign it")
	if d.archive, err = w.Package(ctx, cli, "1.1.0", d.next, key); err != nil {
		return err
	}
	d.say("start three members of 1.0.0 and join them")
	d.cluster, err = e2e.Start(ctx, e2e.Plan{Dir: filepath.Join(d.dir, "cluster"), Bin: d.old, TrustedKey: key + ".pub"})
	return err
}

// upgrade stages, runs and follows the upgrade under load, and judges it.
func (d *demo) upgrade(ctx context.Context) error {
	before, err := d.cluster.Look(ctx)
	if err != nil {
		return err
	}
	followers, err := d.cluster.Followers(ctx)
	if err != nil {
		return err
	}
	load, err := d.cluster.StartLoad(ctx, pace)
	if err != nil {
		return err
	}
	watch := d.cluster.Watch(ctx)
	end, err := d.roll(ctx, followers[0])
	if err == nil {
		err = e2e.Until(ctx, fmt.Sprintf("%d requests", minRequests), func() (bool, error) { return load.Tallies().Requests() >= minRequests, nil })
	}
	r := report{before: before, end: end, tallies: load.Stop()}
	r.looks, r.two = watch.Stop()
	if err != nil {
		return errors.Join(err, r.failures())
	}
	if r.image, err = e2e.FileImage(filepath.Join(d.next, "theseusd")); err != nil {
		return err
	}
	if r.after, err = d.cluster.Look(ctx); err != nil {
		return err
	}
	r.lost = load.Lost(ctx, followers[0])
	r.print(d.out, d.cluster)
	return r.broken(d.cluster)
}

func (d *demo) roll(ctx context.Context, follower *e2e.Member) (e2e.Status, error) {
	d.say("stage 1.1.0 through %s, a follower", follower.Name)
	if err := d.cluster.Staged(ctx, follower, d.archive); err != nil {
		return e2e.Status{}, err
	}
	d.say("run")
	if err := d.cluster.Run(ctx, follower, ""); err != nil {
		return e2e.Status{}, err
	}
	return d.cluster.Follow(ctx, func(line string) { d.say("  %s", line) })
}

// close ends every process unless they are to be kept, and leaves the directory
// where there is still something to see.
func (d *demo) close(ctx context.Context, keep bool, err error) error {
	if d.cluster == nil {
		return errors.Join(err, os.RemoveAll(d.dir))
	}
	if err != nil {
		for _, m := range d.cluster.Members {
			d.say("\n--- the end of %s\n%s", m.Log(), m.LogTail(15))
		}
		d.say("\neverything is in %s", d.dir)
	}
	if keep {
		d.say("\nstill running; to look at it:\n")
		for _, v := range d.cluster.Environment(d.cluster.Members[0])[2:] {
			d.say("  export %s", v)
		}
		d.say("\nto end it:\n\n  kill%s; rm -r %s", d.pids(), d.dir)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if stop := d.cluster.Close(ctx); stop != nil || err != nil {
		return errors.Join(err, stop)
	}
	return os.RemoveAll(d.dir)
}

func (d *demo) pids() (list string) {
	for _, m := range d.cluster.Members {
		if p, runs := m.Daemon(); runs {
			list += fmt.Sprintf(" %d", p.PID)
		}
	}
	return list
}

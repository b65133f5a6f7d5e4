// Command chaos upgrades clusters while it harms them: every run draws a kind of
// fault and its moment from the seed, upgrades a cluster of three under load,
// heals what it harmed, and looks whether all is as promised. docs/chaos.md says
// what is promised. It exits 0 only if every run kept it.
//
//	main.go      flags, and as many runs as there is time for
//	world.go     namespaces of its own: whatever it leaves ends with it
//	lab.go       builds and packages
//	kinds.go     the kinds of run, and what is drawn for one
//	strike.go    what they do to a cluster
//	net.go       a network that can be cut
//	disk.go      disks that can be full
//	trial.go     one run, from its first member to its verdict
//	load.go      clients whose requests become a history
//	history.go   whether a history is linearizable
//	watch.go     who was out when
//	judge.go     what must hold at the end
//	report.go    what is printed
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	seed     uint64
	run      int // only this one; 0: all
	runs     int // as many; 0: as there is time for
	duration time.Duration
	side     int // clusters at once
	only     string
	dir      string // for everything that is made; empty: a temporary one
	keep     string // where the logs of a run that failed go
	all      bool   // the logs of every run
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 0, "what everything is drawn from; 0: a random one")
	flag.IntVar(&o.run, "run", 0, "make only the run with this number")
	flag.IntVar(&o.runs, "runs", 0, "make as many runs, however long that takes")
	flag.DurationVar(&o.duration, "duration", 7*time.Minute, "begin no run after this time, unless -runs is given")
	flag.IntVar(&o.side, "side", 2, "clusters side by side")
	flag.StringVar(&o.only, "only", "", "make runs of this kind only")
	flag.StringVar(&o.dir, "dir", "", "new directory for builds, packages and clusters; empty: a temporary one")
	flag.StringVar(&o.keep, "keep", ".build/chaos", "directory for the logs of runs that fail")
	flag.BoolVar(&o.all, "logs", false, "keep the logs of every run")
	flag.Parse()
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := enter(ctx, &o)
	var told *exec.ExitError // by the one that did the work
	if err != nil && !errors.As(err, &told) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// errViolations is returned when a run did not keep what is promised.
var errViolations = errors.New("not all runs kept what is promised")

// all makes the runs and prints what came of them.
func all(ctx context.Context, o options) error {
	l, err := newLab(o.dir)
	if err != nil {
		return err
	}
	r := &report{out: os.Stdout, o: o, began: time.Now()}
	r.begin()
	next := o.numbers()
	var done sync.WaitGroup
	for place := range max(o.side, 1) {
		done.Go(func() {
			for n := next(); n != 0 && ctx.Err() == nil; n = next() {
				r.add(o.try(ctx, l, place, n))
			}
		})
	}
	done.Wait()
	return r.end()
}

// numbers answers the number of the next run, or 0 when there is none.
func (o options) numbers() func() int {
	if o.run != 0 {
		o.runs = 1
	}
	var mu sync.Mutex // held for n
	began, n := time.Now(), max(o.run, 1)-1
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		made := n - (max(o.run, 1) - 1)
		if o.runs != 0 && made >= o.runs || o.runs == 0 && time.Since(began) > o.duration {
			return 0
		}
		n++
		return n
	}
}

// dice are those of run n: nothing else decides what it does.
func (o options) dice(n int) *rand.Rand { return rand.New(rand.NewPCG(o.seed, uint64(n))) }

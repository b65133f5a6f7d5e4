package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is what came of one run.
type result struct {
	n              int
	kind           string
	what           string // what was drawn
	outcome        string
	requests, open int
	took           time.Duration
	wrong          []string
	logs           string // where the logs are, when something is wrong
}

// report prints a line per run, and adds up.
type report struct {
	out   io.Writer
	o     options
	began time.Time

	mu  sync.Mutex // held for all
	all []result
}

func (r *report) begin() {
	fmt.Fprintf(r.out, "SEED=%d, %d clusters side by side\n", r.o.seed, r.o.side)
}

func (r *report) add(x result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
	fmt.Fprintf(r.out, "%4d %-10s %-60s %-22s %5d operations %5.1fs\n", x.n, x.kind, x.what, x.outcome, x.requests, x.took.Seconds())
	for _, w := range x.wrong {
		fmt.Fprintf(r.out, "     VIOLATION %s\n", w)
	}
	if len(x.wrong) > 0 {
		fmt.Fprintf(r.out, "     logs in %s; again: %s\n", x.logs, r.again(x))
	}
}

func (r *report) again(x result) string {
	return fmt.Sprintf("make chaos SEED=%d RUN=%d%s", r.o.seed, x.n, r.o.kind())
}

// end prints what the runs were and answers whether one was bad.
func (r *report) end() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kinds, requests, open := map[string]map[string]int{}, 0, 0
	var bad []string
	for _, x := range r.all {
		if kinds[x.kind] == nil {
			kinds[x.kind] = map[string]int{}
		}
		kinds[x.kind][x.outcome]++
		requests, open = requests+x.requests, open+x.open
		if len(x.wrong) > 0 {
			bad = append(bad, r.again(x))
		}
	}
	fmt.Fprintf(r.out, "\n%d runs in %s, %d operations in their histories, %d histories of a key not decided\n",
		len(r.all), time.Since(r.began).Round(time.Second), requests, open)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(r.out, "  %-10s %s\n", kind, counts(kinds[kind]))
	}
	if len(bad) > 0 {
		fmt.Fprintf(r.out, "%d runs did not keep what is promised:\n  %s\n", len(bad), strings.Join(bad, "\n  "))
		return errViolations
	}
	fmt.Fprintf(r.out, "every run ended as promised; all of it again: make chaos SEED=%d RUNS=%d%s\n", r.o.seed, len(r.all), r.o.kind())
	return nil
}

func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
	}
	return strings.Join(parts, ", ")
}

// kind is the restriction to one kind, as make takes it.
func (o options) kind() string {
	if o.only == "" {
		return ""
	}
	return " ONLY=" + o.only
}

package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	readers    = 8
	readTime   = 700 * time.Millisecond
	readRounds = 11
)

// server is one that is read from.
type server struct {
	addr    string
	process e2e.Process

	rates []float64 // good answers a second, of each round
	good  int
	cpu   int64 // clock ticks
}

// reads sets reads of the status beside a bare handler that answers the same
// bytes, with the same TLS and the same kind of login, from a process of its own.
func reads(ctx context.Context, b *bench) error {
	return b.with(ctx, 1, func(c *e2e.Cluster) error {
		m := c.Members[0]
		if err := c.Staged(ctx, m, b.archive); err != nil {
			return err
		}
		request := e2e.Request{Method: "GET", Path: "/api/v3/system/upgrade/status", Auth: c.Auth}
		a, err := c.Do(ctx, m, request)
		if err != nil {
			return err
		}
		bare, end, err := startBare(m, bareConfig{Auth: c.Auth, Header: a.Header, Body: string(a.Body)})
		if err != nil {
			return err
		}
		defer end()
		daemon, runs := m.Daemon()
		if !runs {
			return fmt.Errorf("%s does not run", m.Name)
		}
		ours := &server{addr: m.API, process: daemon}
		if err := inTurns(ctx, c.CA, request, bare, ours); err != nil {
			return err
		}
		compare(b, len(a.Body), bare, ours)
		return nil
	})
}

func inTurns(ctx context.Context, ca *x509.CertPool, r e2e.Request, servers ...*server) error {
	for range readRounds {
		for _, s := range servers {
			if err := s.read(ctx, ca, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare prints the median of what each pair of rounds says: two rounds that
// follow each other had the same machine.
func compare(b *bench, size int, bare, ours *server) {
	ratios := make([]float64, readRounds)
	for i := range ratios {
		ratios[i] = ours.rates[i] / bare.rates[i]
	}
	same := func(r float64) float64 { return r }
	t := table{title: fmt.Sprintf("reads of the status, %d bytes, %d connections, medians of %d rounds in turns", size, readers, readRounds)}
	t.add("a bare handler", "%.0f a second", median(bare.rates, same))
	t.add("theseusd", "%.0f a second", median(ours.rates, same))
	t.floor("  times the bare handler", "%.2f", median(ratios, same), 0.8)
	t.add("CPU of the bare handler", "%.1f µs a request", bare.cost())
	t.add("CPU of theseusd", "%.1f µs a request", ours.cost())
	t.print(b)
}

// cost is the CPU time of one request in microseconds.
func (s *server) cost() float64 { return float64(s.cpu) * 10_000 / float64(s.good) }

// read is one round: readers clients, each as fast as it can.
func (s *server) read(ctx context.Context, ca *x509.CertPool, r e2e.Request) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	before, err := s.process.CPU()
	if err != nil {
		return err
	}
	start := time.Now()
	tallies := readAll(ctx, s.addr, ca, r)
	took := time.Since(start).Seconds()
	after, err := s.process.CPU()
	if err != nil {
		return err
	}
	good := tallies.Requests() - tallies.Failed()
	if good == 0 {
		return fmt.Errorf("read from %s: no good answer: %q", s.addr, tallies.Failures())
	}
	s.rates, s.good, s.cpu = append(s.rates, float64(good)/took), s.good+good, s.cpu+after-before
	return nil
}

func readAll(ctx context.Context, addr string, ca *x509.CertPool, r e2e.Request) (all e2e.Tallies) {
	var done sync.WaitGroup
	clients := make([]*e2e.Client, readers)
	for i := range clients {
		clients[i] = &e2e.Client{Addr: addr, CA: ca, Next: func(int) e2e.Request { return r }, Accept: accept}
		done.Go(func() { clients[i].Run(ctx) })
	}
	done.Wait()
	for _, c := range clients {
		all = append(all, c.Tally())
	}
	return all
}

func accept(_ int, a e2e.Answer) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("answer %d", a.Status)
	}
	return nil
}

package e2e

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// requestLimit is when a client gives a request up as failed.
const requestLimit = 15 * time.Second

// maxBehind is how much of its pace a client makes up for.
const maxBehind = time.Second

// keptFailures is how many failures of a client are kept in words.
const keptFailures = 20

// Client sends requests to one member at a steady pace and notes what came of
// each. It never sends a request twice, and it opens a new connection only when
// it is of that kind or when the member's last answer said that it closes.
type Client struct {
	Name   string
	Addr   string
	CA     *x509.CertPool
	Fresh  bool          // a new connection for every request
	Pace   time.Duration // from the start of one request to that of the next, on average; 0: at once
	Next   func(n int) Request
	Writes func(n int) bool            // whether request n writes; nil: none does
	Accept func(n int, a Answer) error // what is wrong with the answer to request n

	conn *Conn

	mu        sync.Mutex // held for what follows
	t         Tally
	lastWrite time.Time
}

// Tally is what came of a client's requests.
type Tally struct {
	Client   string
	Addr     string
	Requests int
	Failed   int
	Unsent   int           // of those that failed: the connection ended before the request went out
	Failures []Failure     // the first of them
	First    time.Time     // start of the first request
	Last     time.Time     // last good answer, or First before there is one
	Gap      time.Duration // the longest time without a good answer
	GapEnd   time.Time     // and when it ended
	Stall    time.Duration // the longest time without an acknowledged write
	Slowest  time.Duration // the longest that one answer took
	Dials    int
}

// Failure is one request that did not get the answer it should have.
type Failure struct {
	At     time.Time
	Client string
	What   string
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s: %s", f.At.Format("15:04:05.000"), f.Client, f.What)
}

// Run sends until ctx ends; the request then under way is finished.
func (c *Client) Run(ctx context.Context) {
	defer c.hangUp()
	wait := c.pacer(ctx)
	c.begin()
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Now()
		c.note(n, start, c.once(n))
		wait()
	}
}

// pacer waits for the start of the next request. A client that fell behind goes
// on at once until it has caught up, but for no more than maxBehind of it.
func (c *Client) pacer(ctx context.Context) (wait func()) {
	next := time.Now()
	return func() {
		next = next.Add(c.Pace)
		if c.Pace == 0 {
			return
		}
		if behind := time.Since(next); behind > maxBehind {
			next = next.Add(behind - maxBehind)
		}
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
		}
	}
}

// Tally is a copy of what came of the requests so far.
func (c *Client) Tally() Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.t
	t.Failures = append([]Failure(nil), c.t.Failures...)
	return t
}

func (c *Client) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.t = Tally{Client: c.Name, Addr: c.Addr, First: now, Last: now}
	c.lastWrite = now
}

func (c *Client) once(n int) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), requestLimit, fmt.Errorf("no answer within %s", requestLimit))
	defer cancel()
	if err := c.dial(ctx); err != nil {
		return fmt.Errorf("connect: %w: %w", errUnsent, err)
	}
	a, err := c.conn.Do(ctx, c.Next(n))
	if err != nil || c.Fresh || a.Close {
		c.hangUp()
	}
	if err != nil {
		return err
	}
	return c.Accept(n, a)
}

func (c *Client) dial(ctx context.Context) (err error) {
	if c.conn != nil {
		return nil
	}
	c.conn, err = Dial(ctx, c.Addr, c.CA)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.Dials++
	return err
}

func (c *Client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// note counts request n, which began at start.
func (c *Client) note(n int, start time.Time, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t.Requests++
	c.t.Slowest = max(c.t.Slowest, now.Sub(start))
	if gap := now.Sub(c.t.Last); gap > c.t.Gap {
		c.t.Gap, c.t.GapEnd = gap, now
	}
	writes := c.Writes != nil && c.Writes(n)
	if writes {
		c.t.Stall = max(c.t.Stall, now.Sub(c.lastWrite))
	}
	if err != nil {
		c.fail(now, err)
		return
	}
	c.t.Last = now
	if writes {
		c.lastWrite = now
	}
}

// fail counts a failure. The caller holds mu.
func (c *Client) fail(now time.Time, err error) {
	if errors.Is(err, errUnsent) {
		c.t.Unsent++
	}
	if c.t.Failed++; c.t.Failed <= keptFailures {
		c.t.Failures = append(c.t.Failures, Failure{At: now, Client: c.Name, What: err.Error()})
	}
}

// Rate is how many requests a second the client made, from its first request to
// its last answer.
func (t Tally) Rate() float64 {
	seconds := t.Last.Sub(t.First).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(t.Requests) / seconds
}

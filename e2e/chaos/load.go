package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	profile = "chaos"
	keys    = 4                     // params that all clients write and read
	pace    = 25 * time.Millisecond // from the end of a request to the next
	lurkers = 4
	lurker  = size            // the client that they are in a history
	answer  = 4 * time.Second // when a client gives a request up
	paths   = "/api/v3/profiles/" + profile + "/params"
)

// load is clients that write and read the params of one profile, and what came
// of every request.
type load struct {
	c     *e2e.Cluster
	began time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu  sync.Mutex // held for what follows
	ops []operation
}

// startLoad starts a client for every member. Each value is written once.
func startLoad(ctx context.Context, c *e2e.Cluster, seed uint64) (*load, error) {
	if err := c.CreateProfile(ctx, c.Members[0], profile); err != nil {
		return nil, err
	}
	l := &load{c: c, began: time.Now()}
	ctx, l.stop = context.WithCancel(ctx)
	for i, m := range c.Members {
		cl := &client{load: l, id: i, m: m, dice: rand.New(rand.NewPCG(seed, uint64(i)))}
		l.done.Go(func() { cl.run(ctx) })
	}
	return l, nil
}

// end stops the clients and answers what came of their requests.
func (l *load) end() []operation {
	l.stop()
	l.done.Wait()
	return l.ops
}

func (l *load) note(o ...operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, o...)
}

// lurk opens connections to m before it is stopped. What it answers sends a
// consistent read over each, to be found by m first thing when it goes on: a
// member that led must not answer from what it knew before. Call its answer
// after that to note what came.
func (l *load) lurk(ctx context.Context, m *e2e.Member) (ask func() (hear func())) {
	var conns []*e2e.Conn
	for range lurkers {
		if conn, err := e2e.Dial(ctx, m.API, l.c.CA); err == nil {
			conns = append(conns, conn)
		}
	}
	return func() func() {
		var done sync.WaitGroup
		for _, conn := range conns {
			c := &client{load: l, id: lurker, m: m, conn: conn}
			done.Go(func() {
				defer c.hangUp()
				c.read()
			})
		}
		return done.Wait
	}
}

func (l *load) now() int64 { return int64(time.Since(l.began)) }

// client sends its requests one after the other, to one member.
type client struct {
	load *load
	id   int
	m    *e2e.Member
	dice *rand.Rand
	conn *e2e.Conn
	sent int
}

func (c *client) run(ctx context.Context) {
	defer c.hangUp()
	for ctx.Err() == nil {
		if c.dice.IntN(2) == 0 {
			c.write(c.dice.IntN(keys))
		} else {
			c.read()
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
		}
	}
}

// write writes a value that nobody else writes. If it is not acknowledged, it
// may have been applied, or may still be.
func (c *client) write(key int) {
	c.sent++
	o := operation{client: c.id, write: true, key: key, value: c.sent*10 + c.id + 1, call: c.load.now()}
	path := fmt.Sprintf("%s/%s", paths, param(key))
	a, err := c.do(e2e.Text("POST", path, "", fmt.Sprint(o.value)))
	o.back = c.load.now()
	if err == nil && a.Status == http.StatusServiceUnavailable && strings.Contains(string(a.Body), "migrating the data") {
		return // it was refused by all members alike, and is not written
	}
	o.acked = err == nil && (a.Status == http.StatusOK || a.Status == http.StatusCreated)
	c.load.note(o)
}

// read reads all params, consistently.
func (c *client) read() {
	call := c.load.now()
	a, err := c.do(e2e.Request{Method: "GET", Path: paths + "?consistent=true"})
	back := c.load.now()
	var got map[string]int
	if err != nil || a.Status != http.StatusOK || json.Unmarshal(a.Body, &got) != nil {
		return // it says nothing
	}
	c.load.note(seen(c.id, got, call, back)...)
}

// seen is one read of every key.
func seen(client int, got map[string]int, call, back int64) (ops []operation) {
	for key := range keys {
		ops = append(ops, operation{client: client, key: key, value: got[param(key)], acked: true, call: call, back: back})
	}
	return ops
}

func param(key int) string { return fmt.Sprintf("p%d", key) }

// do sends r once.
func (c *client) do(r e2e.Request) (a e2e.Answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	if c.conn == nil {
		if c.conn, err = e2e.Dial(ctx, c.m.API, c.load.c.CA); err != nil {
			c.conn = nil
			return a, err
		}
	}
	r.Auth = c.load.c.Auth
	a, err = c.conn.Do(ctx, r)
	if err != nil || a.Close {
		c.hangUp()
	}
	return a, err
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// last reads every key through every member once more.
func (l *load) last(ctx context.Context) error {
	for i, m := range l.c.Members {
		var got map[string]int
		call := l.now()
		if err := l.c.Get(ctx, m, paths+"?consistent=true", &got); err != nil {
			return fmt.Errorf("read through %s at the end: %w", m.Name, err)
		}
		l.note(seen(i, got, call, l.now())...)
	}
	return nil
}

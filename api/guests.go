package api

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	busyWithin  = 2 * time.Second        // a connection idle for longer is not waited for
	idleGrace   = 250 * time.Millisecond // but each gets so long to send a request once the drain began
	justIdle    = 10 * time.Millisecond
	silentAfter = 500 * time.Millisecond // a new connection that has said nothing for so long says nothing soon
	greetLimit  = time.Second            // but one that has begun may be slow: it cannot be left to the next server
)

// guests are the connections that are open, from the moment they are accepted
// until their last byte went to the kernel. Counting them here and not by
// http.Server closes two gaps in its Shutdown: a connection that was accepted
// and is not tracked yet, and a first request that arrives on a new connection
// once it shuts down, which conn.serve drops without an answer (net/http, server.go).
type guests struct {
	mu   sync.Mutex // held for what follows, and for the guests' states
	all  map[*guest]bool
	lame time.Time // since when clients are asked to come back; zero: they are not
}

// guest is one connection.
type guest struct {
	net.Conn
	list *guests

	// Of the list's mu:
	arrived time.Time
	heard   time.Time // when its last byte came
	told    time.Time // when the last byte went to it
	state   http.ConnState
	since   time.Time // of the state

	reading bool
	limit   time.Time // for reading, as http.Server wants it
	left    bool      // nothing was read from it, and nothing will be: it is for the next server
}

// errLeft ends the handshake of a guest that is left to the next server.
var errLeft = errors.New("it is for the next server")

func newGuests() *guests { return &guests{all: map[*guest]bool{}} }

func (g *guests) welcome(c net.Conn) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	n := &guest{Conn: c, list: g, arrived: now, heard: now, state: http.StateNew, since: now}
	g.all[n] = true
	return n
}

func (n *guest) Read(p []byte) (int, error) {
	if !n.begin() {
		return 0, errLeft
	}
	size, err := n.Conn.Read(p)
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	n.reading = false
	if size > 0 {
		n.heard = time.Now()
		if n.left { // too late: it has begun to speak to this one
			n.left = false
			n.Conn.SetReadDeadline(n.limit)
		}
	}
	return size, err
}

// begin is false for one that must not be read from.
func (n *guest) begin() bool {
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	n.reading = !n.left
	return n.reading
}

func (n *guest) Write(p []byte) (int, error) {
	if n.isLeft() {
		return 0, errLeft
	}
	size, err := n.Conn.Write(p)
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	n.told = time.Now()
	return size, err
}

func (n *guest) isLeft() bool {
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	return n.left
}

// SetReadDeadline is not heeded for one that is left: its reading ends at once.
func (n *guest) SetReadDeadline(t time.Time) error {
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	if n.limit = t; n.left {
		return nil
	}
	return n.Conn.SetReadDeadline(t)
}

func (n *guest) SetDeadline(t time.Time) error {
	return errors.Join(n.SetReadDeadline(t), n.SetWriteDeadline(t))
}

// Close is called when all that was written is with the kernel. One that is left
// stays open.
func (n *guest) Close() error {
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	if n.left {
		return nil
	}
	delete(n.list.all, n)
	return n.Conn.Close()
}

// leave has no more read from the connections that nothing was read from yet: who
// holds the listener next can serve them from their first byte on.
func (g *guests) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := range g.all {
		if n.state == http.StateNew && !n.spoke() {
			n.left = true
			n.Conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// takeLeft are the connections that were left, and no guests any more.
func (g *guests) takeLeft() (conns []net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := range g.all {
		if n.left && !n.reading {
			delete(g.all, n)
			n.Conn.SetDeadline(time.Time{})
			conns = append(conns, n.Conn)
		}
	}
	return conns
}

// spoke says whether a byte has come.
func (n *guest) spoke() bool { return n.heard.After(n.arrived) }

// follow is http.Server's hook: c is the TLS connection around a guest.
func (g *guests) follow(c net.Conn, s http.ConnState) {
	around, ok := c.(interface{ NetConn() net.Conn })
	if !ok {
		return
	}
	n, ok := around.NetConn().(*guest)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n.state, n.since = s, time.Now()
}

func (g *guests) setLame(since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lame.IsZero() || since.IsZero() {
		g.lame = since
	}
}

// unaware counts the connections that were open when the drain began and may
// still send a request in the belief that they can: each answer since then
// says that it is the last.
func (g *guests) unaware(now time.Time) int {
	return g.count(func(n *guest) bool {
		if n.arrived.After(g.lame) {
			return false // its first answer will be its last
		}
		switch n.state {
		case http.StateActive:
			return true
		case http.StateIdle:
			return n.speaking() || now.Sub(g.lame) < idleGrace || now.Sub(n.since) < busyWithin
		}
		return false
	})
}

// inFlight counts the connections on which a request is, or is about to be.
func (g *guests) inFlight(now time.Time) int {
	return g.count(func(n *guest) bool {
		switch n.state {
		case http.StateActive:
			return true
		case http.StateNew:
			if n.left {
				return n.reading // for a moment yet
			}
			return n.pending(now)
		}
		// A request that came right behind the last answer may lie in the TLS layer.
		return n.speaking() || n.state == http.StateIdle && now.Sub(n.since) < justIdle
	})
}

// pending says that a new connection waits for us, or is about to speak.
func (n *guest) pending(now time.Time) bool {
	if !n.spoke() {
		return now.Sub(n.arrived) < silentAfter
	}
	return !n.told.After(n.heard) || now.Sub(n.heard) < greetLimit || now.Sub(n.told) < greetLimit
}

// speaking says that bytes came since the connection became idle.
func (n *guest) speaking() bool { return n.state == http.StateIdle && n.heard.After(n.since) }

func (g *guests) count(is func(*guest) bool) (sum int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := range g.all {
		if is(n) {
			sum++
		}
	}
	return sum
}

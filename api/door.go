package api

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// deadliner is a listener whose Accept can be interrupted, such as TCP's.
type deadliner interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// door accepts connections and can be parked: then nothing is accepted, but the
// kernel goes on queueing for whoever holds the listener next. Closing the door
// leaves the listener open.
type door struct {
	deadliner
	guests *guests

	mu     sync.Mutex // held for what follows
	left   []net.Conn // by the server before
	parked bool
	closed bool
	looped bool          // Accept was called, so that there is a loop to wait for
	turned chan struct{} // closed when parked or closed changes
	idle   chan struct{} // closed when the loop stands at the parked door
}

func newDoor(l deadliner, left []net.Conn, g *guests) (*door, error) {
	// A door before this one may have left a deadline on it.
	if err := l.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &door{deadliner: l, left: left, guests: g, turned: make(chan struct{}), idle: make(chan struct{})}, nil
}

// Accept counts each connection as a guest before anyone else sees it.
func (d *door) Accept() (net.Conn, error) {
	for {
		if !d.pass() {
			return nil, net.ErrClosed
		}
		if c := d.next(); c != nil {
			return d.guests.welcome(c), nil
		}
		c, err := d.deadliner.Accept()
		if err == nil {
			return d.guests.welcome(c), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// next is a connection that the server before has left, or nil.
func (d *door) next() (c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.left) > 0 {
		c, d.left = d.left[0], d.left[1:]
	}
	return c
}

// pass waits while the door is parked; false means that it is closed.
func (d *door) pass() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looped = true
	for d.parked && !d.closed {
		turned := d.turned
		d.stand()
		d.mu.Unlock()
		<-turned
		d.mu.Lock()
	}
	return !d.closed
}

// stand tells whoever parked the door that the loop has come to a stop. Held: mu.
func (d *door) stand() {
	select {
	case <-d.idle:
	default:
		close(d.idle)
	}
}

// turn changes the door and wakes the loop. Held: mu.
func (d *door) turn() {
	close(d.turned)
	d.turned = make(chan struct{})
}

// park returns when nothing more will be accepted. It may be called again.
func (d *door) park() error {
	d.mu.Lock()
	if !d.parked {
		d.parked = true
		d.turn()
	}
	idle, wait := d.idle, d.looped && !d.closed
	err := d.SetDeadline(time.Unix(1, 0))
	d.mu.Unlock()
	if wait && err == nil {
		<-idle
	}
	return err
}

// unpark goes on accepting.
func (d *door) unpark() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.parked || d.closed {
		return nil
	}
	d.parked, d.idle = false, make(chan struct{})
	d.turn()
	return d.SetDeadline(time.Time{})
}

// Close ends the loop; the listener stays open and belongs to its owner.
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.stand()
	d.turn()
	for _, c := range d.left {
		c.Close()
	}
	return d.SetDeadline(time.Unix(1, 0))
}

// takeLeft are the connections of the server before that nobody has accepted yet.
func (d *door) takeLeft() (left []net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left, d.left = d.left, nil
	return left
}

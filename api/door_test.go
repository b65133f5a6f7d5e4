package api

import (
	"net"
	"os"
	"testing"
	"time"
)

// slow is a listener that has one more connection after its deadline was set.
type slow struct {
	net.Listener
	asked    chan struct{} // once for each call of Accept
	deadline chan struct{}
	conns    chan net.Conn
}

func (s *slow) SetDeadline(at time.Time) error {
	if !at.IsZero() {
		close(s.deadline)
	}
	return nil
}

func (s *slow) Accept() (net.Conn, error) {
	s.asked <- struct{}{}
	if c, ok := <-s.conns; ok {
		return c, nil
	}
	return nil, os.ErrDeadlineExceeded
}

func TestAParkedDoorHasCountedWhoeverCameThroughBefore(t *testing.T) {
	l := &slow{asked: make(chan struct{}), deadline: make(chan struct{}), conns: make(chan net.Conn)}
	g := newGuests()
	d, err := newDoor(l, nil, g)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := d.Accept(); err != nil {
				return
			}
		}
	}()
	<-l.asked
	l.conns <- nil
	<-l.asked // the loop is through the door again
	go func() {
		<-l.deadline
		l.conns <- nil
		close(l.conns)
	}()
	if err := d.park(); err != nil {
		t.Fatal(err)
	}
	if got := g.count(func(*guest) bool { return true }); got != 2 {
		t.Errorf("%d came through before, want 2", got)
	}
	d.mu.Lock()
	d.closed = true
	d.turn()
	d.mu.Unlock()
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// port is the member-to-member port: one TCP listener, whose connections go to
// raft or to the calls once they have shown a member's certificate.
type port struct {
	listener net.Listener
	keys     *Keys
	log      *slog.Logger
	raft     *lane
	calls    *lane
	room     chan struct{} // bounds the handshakes under way
	stopped  chan struct{} // closed when the accept loop has ended

	// mu is held to read or change what follows.
	mu     sync.Mutex
	parked bool
	closed bool
	conns  map[net.Conn]bool
}

// handshakesAtOnce is more than members ever need; what comes beyond is closed,
// so that a crowd of bad clients cannot hold up the accept loop.
const handshakesAtOnce = 256

func newPort(l net.Listener, k *Keys, log *slog.Logger) *port {
	return &port{listener: l, keys: k, log: log, raft: newLane(l.Addr()), calls: newLane(l.Addr()),
		room: make(chan struct{}, handshakesAtOnce), stopped: make(chan struct{}), conns: map[net.Conn]bool{}}
}

// run accepts until park or close. Until it is called the kernel queues.
func (p *port) run() {
	defer close(p.stopped)
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			p.take(c)
		case p.over() || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, say
			p.log.Warn("accept a member's connection", "error", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (p *port) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parked || p.closed
}

func (p *port) take(c net.Conn) {
	select {
	case p.room <- struct{}{}:
		go func() {
			defer func() { <-p.room }()
			p.shake(c)
		}()
	default:
		c.Close()
	}
}

func (p *port) shake(raw net.Conn) {
	c := &conn{Conn: raw, port: p}
	if !p.track(c) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	secured, id, protocol, err := p.keys.acceptTLS(ctx, c)
	if err != nil {
		p.log.Debug("refuse a connection to the member port", "from", raw.RemoteAddr(), "error", err)
		c.Close()
		return
	}
	l := p.calls
	if protocol == protocolRaft {
		l = p.raft
	}
	l.put(&peerConn{Conn: secured, id: id})
}

// track remembers an open connection, so that close can end it at once.
func (p *port) track(c *conn) bool {
	p.mu.Lock()
	closed := p.closed
	p.conns[c] = !closed
	p.mu.Unlock()
	if closed {
		c.Close()
	}
	return !closed
}

// dial connects to a member; the connection ends with the port.
func (p *port) dial(ctx context.Context, address, protocol, want string) (net.Conn, error) {
	secured, err := p.keys.dialTLS(ctx, address, protocol, want)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: secured, port: p}
	if !p.track(c) {
		return nil, net.ErrClosed
	}
	return c, nil
}

// park stops accepting and leaves the listener open: the kernel queues what
// comes in for the next image of this process.
func (p *port) park() error {
	l, ok := p.listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return fmt.Errorf("park the member port: a %T takes no deadline", p.listener)
	}
	p.mu.Lock()
	p.parked = true
	p.mu.Unlock()
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil {
		return fmt.Errorf("park the member port: %w", err)
	}
	<-p.stopped
	return nil
}

// close ends every connection, and closes the listener unless it is parked.
func (p *port) close() {
	p.mu.Lock()
	conns, parked := p.conns, p.parked
	p.conns, p.closed = map[net.Conn]bool{}, true
	p.mu.Unlock()
	if !parked {
		p.listener.Close()
	}
	p.raft.Close()
	p.calls.Close()
	for c := range conns {
		c.Close()
	}
}

// conn is a connection that the port knows of.
type conn struct {
	net.Conn
	port *port
}

func (c *conn) Close() error {
	c.port.mu.Lock()
	delete(c.port.conns, c)
	c.port.mu.Unlock()
	return c.Conn.Close()
}

// peerConn is a connection from a member that showed its certificate. It is no
// *tls.Conn to look at: net/http would drop one whose protocol it does not know.
type peerConn struct {
	net.Conn
	id string
}

// lane is the part of the port that one protocol sees, as a listener.
type lane struct {
	address net.Addr
	conns   chan *peerConn
	once    sync.Once
	done    chan struct{}
}

func newLane(a net.Addr) *lane {
	return &lane{address: a, conns: make(chan *peerConn), done: make(chan struct{})}
}

func (l *lane) put(c *peerConn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept returns the next connection; its peer has shown its certificate.
func (l *lane) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends the lane, not the listener under it.
func (l *lane) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the listener's.
func (l *lane) Addr() net.Addr { return l.address }

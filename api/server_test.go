package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// leave takes a server off its listener in the order that loses nothing, and
// answers the connections for the next one.
func leave(t *testing.T, s *Server) []net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.LameDuck()
	err := errors.Join(s.Quiet(ctx), s.Park())
	left, late := s.Leave(ctx)
	if err := errors.Join(err, late); err != nil {
		t.Errorf("leave: %v", err)
	}
	return left
}

// caller asks one thing again and again, and never the same thing twice because
// it got no answer. It makes a new connection only when it is of that kind or
// was told that this one ends.
type caller struct {
	site  *site
	fresh bool
	text  string
	pace  time.Duration // from one request to the next
	shy   time.Duration // from connecting to the first byte
	conn  *raw
	count atomic.Int64
}

func (c *caller) once() (err error) {
	if c.conn == nil {
		if c.conn, err = c.site.dialShy(c.shy); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
	}
	if err := c.conn.send(c.text); err != nil {
		return fmt.Errorf("send request %d: %w", c.count.Load(), err)
	}
	r, body, err := c.conn.receive("GET")
	if err != nil {
		return fmt.Errorf("receive answer %d: %w", c.count.Load(), err)
	}
	if r.StatusCode != 200 {
		return fmt.Errorf("answer %d: %d %s", c.count.Load(), r.StatusCode, body)
	}
	if r.Close || c.fresh {
		c.conn.Close()
		c.conn = nil
	}
	c.count.Add(1)
	return nil
}

// S3: not one request is lost while one server after the other leaves the
// listener, as images of the daemon do.
func TestS3NoRequestIsLostWhenTheServerIsExchanged(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	m.want(t, "POST", "/api/v3/profiles", sent, 201, "")
	auth := "Bearer " + m.token(t, "")
	texts := []string{request("GET", "/api/v3/profiles/p1", auth, "\r\n"), request("POST", "/api/v3/profiles/p1/params/k", auth, "Content-Length: 2\r\n\r\n17")}
	var over atomic.Bool
	var group sync.WaitGroup
	callers := make([]*caller, 8)
	for i := range callers {
		c := &caller{site: s, fresh: i%2 == 0, text: texts[i/2%2], pace: []time.Duration{1, 30 * time.Millisecond}[i/4]}
		if i == 7 {
			c.fresh, c.shy = true, 3*silentAfter
		}
		callers[i] = c
		group.Go(func() {
			tick := time.NewTicker(c.pace)
			defer tick.Stop()
			for ; !over.Load(); <-tick.C {
				if err := c.once(); err != nil {
					t.Errorf("caller %d: %v", i, err)
					return
				}
			}
		})
	}
	now := s.serve(t, m.API)
	handed := 0
	for range 12 {
		was := make([]int64, len(callers))
		for i, c := range callers {
			was[i] = c.count.Load()
		}
		eventually(t, "every caller to be served", func() bool {
			return t.Failed() || !slices.ContainsFunc(callers, func(c *caller) bool {
				return c.shy == 0 && c.count.Load() < was[slices.Index(callers, c)]+5
			})
		})
		left := leave(t, now)
		handed += len(left)
		now.Recover() // the API is of the next server
		now = s.serve(t, m.API, left...)
	}
	over.Store(true)
	group.Wait()
	for i, c := range callers {
		t.Logf("caller %d: %d answers", i, c.count.Load())
	}
	if handed == 0 {
		t.Error("no connection was handed on")
	}
}

// firstRequest is the first word on a connection, and has to be answered.
func (s *site) firstRequest(t *testing.T, tcp net.Conn) {
	t.Helper()
	c := tls.Client(tcp, &tls.Config{RootCAs: s.trust, ServerName: "127.0.0.1"})
	if _, err := io.WriteString(c, request("GET", "/healthz", "", "\r\n")); err != nil {
		t.Fatalf("the handshake: %v", err)
	}
	head := make([]byte, 15)
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
		t.Errorf("answer %q, %v", head, err)
	}
}

// However long a client takes to say its first word, the next server hears it.
func TestAConnectionThatSaidNothingIsServedByTheNext(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	srv := s.serve(t, m.API)
	tcp, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	accepted := func(srv *Server) {
		t.Helper()
		eventually(t, "the connection to be accepted", func() bool {
			return srv.guests.count(func(n *guest) bool { return n.reading }) == 1
		})
	}
	for range 3 {
		accepted(srv)
		left := leave(t, srv)
		if len(left) != 1 {
			t.Fatalf("%d connections are left", len(left))
		}
		srv.Recover()
		srv = s.serve(t, m.API, left...)
	}
	accepted(srv)
	s.firstRequest(t, tcp)
}

func TestALameDuckEndsEveryConnectionAfterItsAnswer(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	srv := s.serve(t, m.API)
	c := s.mustDial(t)
	ask := func() *http.Response {
		t.Helper()
		if err := c.send(request("GET", "/readyz", "", "\r\n")); err != nil {
			t.Fatal(err)
		}
		r, _, err := c.receive("GET")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(); r.Close || r.StatusCode != 200 {
		t.Errorf("before: %d, close %v", r.StatusCode, r.Close)
	}
	srv.LameDuck()
	if r := ask(); !r.Close || r.StatusCode != 503 {
		t.Errorf("lame duck: %d, close %v", r.StatusCode, r.Close)
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
	srv.Recover()
	c = s.mustDial(t)
	if r := ask(); r.Close || r.StatusCode != 200 {
		t.Errorf("recovered: %d, close %v", r.StatusCode, r.Close)
	}
}

func TestQuietWaitsForTheConnectionsThatMayStillBeUsed(t *testing.T) {
	now := time.Now()
	g := newGuests()
	g.setLame(now)
	g.setLame(now.Add(time.Minute)) // the second call does not begin anew
	add := func(arrived time.Time, s http.ConnState, since, heard time.Time) func() {
		n := g.welcome(nil)
		n.arrived, n.state, n.since, n.heard = arrived, s, since, heard
		return func() { delete(g.all, n) }
	}
	before, long := now.Add(-time.Hour), now.Add(-time.Minute)
	for _, row := range []struct {
		what    string
		arrived time.Time
		state   http.ConnState
		since   time.Time
		heard   time.Time
		after   time.Duration // since the drain began
		want    int
	}{
		{"in a request", before, http.StateActive, long, long, 9 * time.Second, 1},
		{"busy a moment ago", before, http.StateIdle, now, now, busyWithin - 1, 1},
		{"idle for long enough", before, http.StateIdle, now, now, busyWithin, 0},
		{"idle for long, at the beginning", before, http.StateIdle, long, long, idleGrace - 1, 1},
		{"idle for long", before, http.StateIdle, long, long, idleGrace, 0},
		{"idle for long, and sending now", before, http.StateIdle, long, now, time.Second, 1},
		{"not one request yet", before, http.StateNew, long, long, 0, 0},
		{"come since, in a request", now.Add(1), http.StateActive, now, now, time.Second, 0},
	} {
		remove := add(row.arrived, row.state, row.since, row.heard)
		if got := g.unaware(now.Add(row.after)); got != row.want {
			t.Errorf("%s: %d, want %d", row.what, got, row.want)
		}
		remove()
	}
}

func TestANewConnectionIsWaitedForWhileItMayBeAboutToSpeak(t *testing.T) {
	came := time.Now()
	never, later := time.Time{}, came.Add(time.Hour)
	for _, row := range []struct {
		what        string
		heard, told time.Time
		after       time.Duration // since its last byte, either way
		want        int
	}{
		{"said nothing yet", came, never, silentAfter - 1, 1},
		{"says nothing", came, never, silentAfter, 0},
		{"waits for us", later.Add(1), later, time.Hour, 1},
		{"was answered in the handshake", later, later.Add(1), greetLimit - 1, 1},
		{"says no more", later, later.Add(1), greetLimit + 1, 0},
	} {
		g := newGuests()
		n := g.welcome(nil)
		n.arrived, n.heard, n.told = came, row.heard, row.told
		if got := g.inFlight(row.heard.Add(row.after)); got != row.want {
			t.Errorf("%s: %d, want %d", row.what, got, row.want)
		}
	}
}

func TestShutdownWaitsForTheFirstRequestOfANewConnection(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	srv := s.serve(t, m.API)
	tcp, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	eventually(t, "the connection to be accepted", func() bool {
		return srv.guests.count(func(*guest) bool { return true }) == 1
	})
	if err := srv.Park(); err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(context.Background()) }()
	s.firstRequest(t, tcp)
	if err := <-down; err != nil {
		t.Errorf("shut down: %v", err)
	}
}

func TestWhatComesWhileParkedIsServedByTheNext(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	srv := s.serve(t, m.API)
	if err := errors.Join(srv.Park(), srv.Park()); err != nil {
		t.Fatal(err)
	}
	asked := func() chan error {
		answer := make(chan error, 1)
		go func() {
			c := &caller{site: s, fresh: true, text: request("GET", "/healthz", "", "\r\n")}
			answer <- c.once()
		}()
		return answer
	}
	first := asked()
	if n := srv.guests.count(func(*guest) bool { return true }); n != 0 {
		t.Errorf("parked, and %d connections were accepted", n)
	}
	if err := errors.Join(srv.Unpark(), srv.Unpark(), <-first); err != nil {
		t.Errorf("after unparking: %v", err)
	}
	if err := srv.Park(); err != nil {
		t.Fatal(err)
	}
	second := asked()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.draining.Store(false)
	s.serve(t, m.API)
	if err := <-second; err != nil {
		t.Errorf("at the next server: %v", err)
	}
}

func TestAServerThatServesTooLateLeavesTheListenerAlone(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	srv, err := NewServer(s.listener, nil, s.tls, m.API, m.log)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(srv.Park(), srv.Shutdown(context.Background())); err != nil {
		t.Error(err)
	}
	srv.Recover()
	s.serve(t, m.API)
	if err := srv.Serve(); err != nil {
		t.Errorf("serve after the end: %v", err)
	}
	c := &caller{site: s, fresh: true, text: request("GET", "/healthz", "", "\r\n")}
	if err := c.once(); err != nil {
		t.Errorf("the next server: %v", err)
	}
}

func TestShutdownSaysWhatItCut(t *testing.T) {
	m := readyMember(t)
	s := newSite(t)
	started, ended := make(chan struct{}), make(chan error, 1)
	m.upgrader.upload = func(_ context.Context, body io.Reader) error {
		close(started)
		_, err := io.Copy(io.Discard, body)
		ended <- err
		return err
	}
	srv := s.serve(t, m.API)
	c := s.mustDial(t)
	if err := c.send(request("POST", "/api/v3/system/upgrade/stage", m.basic, "Content-Length: 1000\r\n\r\nthe beginning")); err != nil {
		t.Fatal(err)
	}
	<-started
	over, cancel := context.WithCancel(context.Background())
	cancel()
	err := srv.Shutdown(over)
	if err == nil || !strings.Contains(err.Error(), "1 connections were cut") {
		t.Errorf("shut down: %v", err)
	}
	if err := <-ended; err == nil {
		t.Errorf("the upload ended well")
	}
}

func TestHTTP2IsNotSpoken(t *testing.T) {
	s := newSite(t)
	s.serve(t, readyMember(t).API)
	if got := s.mustDial(t).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q", got)
	}
}

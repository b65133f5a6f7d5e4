package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerLimit = 10 * time.Second // for a TLS handshake, and for a request's header
	idleLimit   = 2 * time.Minute  // between two requests on a connection
	headerSize  = 64 << 10         // bytes
	lookEvery   = 2 * time.Millisecond
)

// Server is the HTTPS server around an API and a listener that it does not own.
// It speaks HTTP/1.1 only: HTTP/2 would hold a drain up.
//
// It is left in this order, and no request is lost: LameDuck, Quiet, Park,
// Leave or Shutdown. Until then there is a way back: Unpark, Recover.
type Server struct {
	api    *API
	http   *http.Server
	door   *door
	guests *guests
}

// NewServer makes a server on a listener, which may be inherited and stays the
// caller's: it is never closed here. Left are the connections that the server
// before has left: they are served first. conf needs a certificate.
func NewServer(l net.Listener, left []net.Conn, conf *tls.Config, a *API, log *slog.Logger) (*Server, error) {
	tcp, ok := l.(deadliner)
	if !ok {
		return nil, fmt.Errorf("serve the API on %s: its Accept cannot be interrupted", l.Addr())
	}
	s := &Server{api: a, guests: newGuests()}
	var err error
	if s.door, err = newDoor(tcp, left, s.guests); err != nil {
		return nil, fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	}
	conf = conf.Clone()
	conf.NextProtos = []string{"http/1.1"}
	s.http = &http.Server{
		Handler: a, TLSConfig: conf, ConnState: s.guests.follow,
		ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerSize,
		Protocols: new(http.Protocols),
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what clients do to us
	}
	s.http.Protocols.SetHTTP1(true)
	return s, nil
}

// Serve accepts until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	err := s.http.Serve(tls.NewListener(s.door, s.http.TLSConfig))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the API: %w", err)
}

// LameDuck keeps serving, but every answer ends its connection, and /readyz
// fails. It may be called again.
func (s *Server) LameDuck() {
	s.api.draining.Store(true)
	s.guests.setLame(time.Now()) // after: what is not idle by then hears of it
}

// Recover undoes LameDuck.
func (s *Server) Recover() {
	s.api.draining.Store(false)
	s.guests.setLame(time.Time{})
}

// Quiet returns when every connection that was open at LameDuck has been told
// to come back, or has been idle for so long that it is not waited for. Its
// error, when ctx ends before, says how many had not.
func (s *Server) Quiet(ctx context.Context) error {
	left, err := settle(ctx, s.guests.unaware)
	if err != nil {
		return fmt.Errorf("drain: %d connections have not been told to come back: %w", left, err)
	}
	return nil
}

// Park stops accepting and returns when nothing more is accepted; the kernel
// queues new connections. It may be called again.
func (s *Server) Park() error { return s.door.park() }

// Unpark undoes Park.
func (s *Server) Unpark() error { return s.door.unpark() }

// Shutdown parks, waits for every request in flight, those that are about to
// arrive on connections just accepted included, and closes the connections. Its
// error, when ctx ends before, says how many requests were cut. The listener
// stays open.
func (s *Server) Shutdown(ctx context.Context) error {
	s.LameDuck()
	return s.end(ctx, s.Park())
}

// Leave is Shutdown for whoever serves on the listener next: connections from which
// nothing was read are answered, for NewServer. They are waited for all the same: an
// image of an earlier build does not know what to do with them. An error does not
// make them worth less.
func (s *Server) Leave(ctx context.Context) ([]net.Conn, error) {
	s.LameDuck()
	err := s.Park()
	left := s.door.takeLeft()
	soon, cancel := context.WithTimeout(ctx, silentAfter)
	defer cancel()
	settle(soon, s.guests.inFlight) // end waits for what is left of them
	s.guests.leave()
	err = s.end(ctx, err)
	return append(left, s.guests.takeLeft()...), err
}

// end is all of Shutdown behind the parking, which ended with err.
func (s *Server) end(ctx context.Context, err error) error {
	left, late := settle(ctx, s.guests.inFlight)
	if late != nil {
		late = fmt.Errorf("shut the API down: %d connections were cut: %w", left, late)
	}
	// http.Server closes the door only if Serve got as far as telling it; were it
	// left to Serve, it could happen when the listener serves somebody else.
	return errors.Join(err, late, s.http.Close(), s.door.Close())
}

// settle waits until none are left to count.
func settle(ctx context.Context, count func(time.Time) int) (left int, err error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if left = count(time.Now()); left == 0 {
			return 0, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return left, ctx.Err()
		}
	}
}

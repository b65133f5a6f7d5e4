package e2e

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server is an httptest server whose answers a test chooses, and the request it
// has read last.
func server(t *testing.T, h http.HandlerFunc) (addr string, ca *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = x509.NewCertPool()
	ca.AddCert(s.Certificate())
	return s.Listener.Addr().String(), ca
}

// client asks for /ok and wants 200.
func client(addr string, ca *x509.CertPool) *Client {
	return &Client{
		Name: "test", Addr: addr, CA: ca,
		Next: func(int) Request { return Request{Method: "GET", Path: "/ok"} },
		Accept: func(_ int, a Answer) error {
			if a.Status != http.StatusOK {
				return unexpected(a)
			}
			return nil
		},
	}
}

// runFor runs c until it has made n requests.
func runFor(t *testing.T, c *Client, n int) Tally {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := 0
	c.Next = counted(c.Next, func() {
		if seen++; seen == n {
			cancel()
		}
	})
	c.Run(ctx)
	if got := c.Tally(); got.Requests == n {
		return got
	}
	t.Fatalf("made %d requests in time, not %d", c.Tally().Requests, n)
	return Tally{}
}

func counted(next func(int) Request, count func()) func(int) Request {
	return func(n int) Request { count(); return next(n) }
}

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }

func TestAKeepAliveClientUsesOneConnectionForAllItsRequests(t *testing.T) {
	addr, ca := server(t, ok)
	got := runFor(t, client(addr, ca), 20)
	if got.Failed != 0 || got.Dials != 1 {
		t.Errorf("20 requests: %d failed, %d dials: %v", got.Failed, got.Dials, got.Failures)
	}
}

func TestANewConnectionClientDialsForEveryRequest(t *testing.T) {
	addr, ca := server(t, ok)
	c := client(addr, ca)
	c.Fresh = true
	got := runFor(t, c, 20)
	if got.Failed != 0 || got.Dials != 20 {
		t.Errorf("20 requests: %d failed, %d dials: %v", got.Failed, got.Dials, got.Failures)
	}
}

func TestAConnectionThatTheServerSaysItClosesIsNoFailure(t *testing.T) {
	addr, ca := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		ok(w, r)
	})
	got := runFor(t, client(addr, ca), 5)
	if got.Failed != 0 || got.Dials != 5 {
		t.Errorf("5 requests: %d failed, %d dials: %v", got.Failed, got.Dials, got.Failures)
	}
}

func TestARequestWhoseConnectionBreaksIsAFailureAndIsNotSentAgain(t *testing.T) {
	var received atomic.Int32
	addr, ca := server(t, func(w http.ResponseWriter, r *http.Request) {
		received.Add(1)
		panic(http.ErrAbortHandler)
	})
	got := runFor(t, client(addr, ca), 3)
	if got.Failed != 3 || got.Unsent != 0 || received.Load() != 3 {
		t.Errorf("3 requests: %d failed, %d of them unsent, %d reached the server", got.Failed, got.Unsent, received.Load())
	}
}

func TestAKeptConnectionThatClosesUnannouncedIsAFailure(t *testing.T) {
	var conns atomic.Int32
	addr, ca := server(t, func(w http.ResponseWriter, r *http.Request) {
		ok(w, r)
		if conns.Add(1) == 1 {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // after the whole answer
		}
	})
	c := client(addr, ca)
	c.Next = func(int) Request { return Request{Method: "HEAD", Path: "/ok"} }
	got := runFor(t, c, 3)
	if got.Failed != 1 {
		t.Errorf("one connection was closed unannounced, %d requests failed: %v", got.Failed, got.Failures)
	}
}

func TestAnUnexpectedStatusIsAFailure(t *testing.T) {
	addr, ca := server(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusServiceUnavailable) })
	got := runFor(t, client(addr, ca), 2)
	if got.Failed != 2 || !strings.Contains(got.Failures[0].What, "503: away") {
		t.Errorf("two answers 503: %d failed: %v", got.Failed, got.Failures)
	}
}

func TestTheLongestGapSpansAnOutage(t *testing.T) {
	var n atomic.Int32
	held := make(chan time.Duration, 1)
	addr, ca := server(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 2 {
			start, looks := time.Now(), 0
			Until(r.Context(), "a few looks", func() (bool, error) { looks++; return looks == 3, nil })
			held <- time.Since(start)
		}
		ok(w, r)
	})
	got := runFor(t, client(addr, ca), 4)
	if least := <-held; got.Gap < least || got.Slowest < least {
		t.Errorf("an answer was held for %s, the longest gap is %s, the slowest answer %s", least, got.Gap, got.Slowest)
	}
}

func TestRefusedConnectionsAreFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := client(l.Addr().String(), nil)
	c.Pace = time.Millisecond
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	if err := Until(ctx, "refusals", func() (bool, error) { return c.Tally().Requests > keptFailures, nil }); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	if got := c.Tally(); got.Failed != got.Requests || got.Unsent != got.Requests || len(got.Failures) != keptFailures {
		t.Errorf("%d refused connections: %d failed, %d unsent, %d kept", got.Requests, got.Failed, got.Unsent, len(got.Failures))
	}
}

func TestAnEarlyAnswerToALongUploadIsReadToItsEnd(t *testing.T) {
	addr, ca := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	conn, err := Dial(within(t), addr, ca)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	endless := io.LimitReader(zeros{}, 1<<40)
	a, err := conn.Do(within(t), Request{Method: "POST", Path: "/", Body: endless, Size: -1})
	if err != nil || a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("an upload that is refused early: %d, %v", a.Status, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAChunkedUploadArrivesWhole(t *testing.T) {
	const size = 3<<20 + 7
	addr, ca := server(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	conn, err := Dial(within(t), addr, ca)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a, err := conn.Do(within(t), Request{Method: "POST", Path: "/", Body: io.LimitReader(zeros{}, size), Size: -1})
	if want := fmt.Sprint(size, nil); err != nil || string(a.Body) != want {
		t.Errorf("got %q, %v; want %q", a.Body, err, want)
	}
}

func TestUntilSaysWhatItWaitedForAndWhatWentWrong(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("out of time"))
	defer cancel()
	err := Until(ctx, "the moon", func() (bool, error) { return false, errors.New("clouds") })
	if err == nil || err.Error() != "wait for the moon: out of time: clouds" {
		t.Errorf("got %v", err)
	}
}

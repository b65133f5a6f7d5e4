package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

var resumable = stagePath + "?sha256=" + someDigest

// begun begins an upload of size bytes with text.
func (s *site) begun(t *testing.T, m *member, path string, size int, text string) *raw {
	t.Helper()
	c := s.mustDial(t)
	if err := c.send(request("POST", path, m.basic, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, text))); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *raw) answered(t *testing.T, status int, word string) {
	t.Helper()
	r, body, err := c.receive("POST")
	if err != nil || r.StatusCode != status || !strings.Contains(string(body), word) {
		t.Errorf("%v %s %v, want %d and %q", r, body, err, status, word)
	}
}

func TestAMemberThatStopsTakesInWhatHasComeOfAnUploadAndEndsIt(t *testing.T) {
	m, s := readyMember(t), newSite(t)
	got := make(chan int64, 1)
	begin := make(chan bool)
	m.upgrader.upload = func(_ context.Context, body io.Reader) error {
		<-begin
		n, err := io.Copy(io.Discard, body)
		got <- n
		return err
	}
	srv := s.serve(t, m.API)
	came := strings.Repeat("x", 300_000) // more than the TLS layer holds
	c := s.begun(t, m, resumable, 1_000_000, came)
	srv.LameDuck()
	time.Sleep(2 * lookOut) // the drain is seen before a byte is read
	close(begin)
	c.answered(t, http.StatusServiceUnavailable, "what has come is kept")
	if n := <-got; n != int64(len(came)) {
		t.Errorf("%d bytes were taken in of %d that were sent", n, len(came))
	}
}

func TestAMemberThatStopsEndsAnUploadThatGoesOn(t *testing.T) {
	m, s := readyMember(t), newSite(t)
	srv := s.serve(t, m.API)
	c := s.begun(t, m, resumable, 1<<40, "x")
	go func() {
		for c.send(strings.Repeat("x", 1<<16)) == nil {
			time.Sleep(lookOut / 4)
		}
	}()
	srv.LameDuck()
	c.answered(t, http.StatusServiceUnavailable, "what has come is kept")
}

func TestAMemberThatStopsEndsNothingThatCannotBeResumed(t *testing.T) {
	m, s := readyMember(t), newSite(t)
	srv := s.serve(t, m.API)
	c := s.begun(t, m, stagePath, 10, "bytes")
	srv.LameDuck()
	time.Sleep(lookOut + lastLimit + lookOut)
	if err := c.send("bytes"); err != nil {
		t.Fatal(err)
	}
	c.answered(t, http.StatusOK, `"Size":10`)
}

func TestABodyThatCameWholeSetsItsRequestNoTime(t *testing.T) {
	for _, stopping := range []bool{false, true} {
		m, s := readyMember(t), newSite(t)
		m.idle = 50 * time.Millisecond
		read := make(chan bool)
		m.upgrader.upload = func(ctx context.Context, body io.Reader) error {
			if _, err := io.ReadAll(body); err != nil {
				return err
			}
			close(read)
			time.Sleep(lookOut + lastLimit + lookOut)
			return ctx.Err()
		}
		srv := s.serve(t, m.API)
		c := s.begun(t, m, resumable, 5, "bytes")
		<-read
		if stopping {
			srv.LameDuck()
		}
		c.answered(t, http.StatusOK, "")
	}
}

func TestAnUploadRefusedEarlyIsAnsweredAndHungUpOn(t *testing.T) {
	s := newSite(t)
	m := readyMember(t)
	s.serve(t, m.API)
	begun := strings.Repeat("x", 10000)
	for name, text := range map[string]string{
		"length":  request("POST", "/api/v3/system/upgrade/stage", "", "Content-Length: 60000000\r\n\r\n"+begun),
		"chunked": request("POST", "/api/v3/system/upgrade/stage", "", "Transfer-Encoding: chunked\r\n\r\n10000\r\n"+begun),
		// One that asks sends nothing before it is told to: the server may hang up at once.
		"asking": request("POST", "/api/v3/system/upgrade/stage", "", "Expect: 100-continue\r\nContent-Length: 60000000\r\n\r\n"),
	} {
		c := s.mustDial(t)
		if err := c.send(text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, body, err := c.receive("POST")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.StatusCode != 401 || !r.Close {
			t.Errorf("%s: %d, close %v", name, r.StatusCode, r.Close)
		}
		checkShape(t, name, r, body)
		if rest, err := io.ReadAll(c.in); len(rest) > 0 {
			t.Errorf("%s: went on with %q, %v", name, rest, err)
		}
	}
}

func TestAConnectionGoesOnAfterARequestThatWasReadWhole(t *testing.T) {
	s := newSite(t)
	m := readyMember(t)
	s.serve(t, m.API)
	c := s.mustDial(t)
	for i, want := range []int{201, 409, 409} {
		if err := c.send(request("POST", "/api/v3/profiles", m.basic, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(sent), sent))); err != nil {
			t.Fatal(err)
		}
		r, body, err := c.receive("POST")
		if err != nil || r.StatusCode != want || r.Close {
			t.Fatalf("request %d: %v, %s, %v", i, r, body, err)
		}
		if r.ContentLength != int64(len(body)) || len(r.TransferEncoding) > 0 {
			t.Errorf("length %d of %d", r.ContentLength, len(body))
		}
	}
}

func TestAnUploadThatStandsStillIsGivenUp(t *testing.T) {
	s := newSite(t)
	m := readyMember(t)
	m.idle = 50 * time.Millisecond
	s.serve(t, m.API)
	c := s.mustDial(t)
	if err := c.send(request("POST", "/api/v3/profiles", m.basic, "Content-Length: 1000\r\n\r\nthe beginning")); err != nil {
		t.Fatal(err)
	}
	r, body, err := c.receive("POST")
	if err != nil || r.StatusCode != 400 || !r.Close || !strings.Contains(string(body), "nothing came for 50ms") {
		t.Errorf("%v %s %v", r, body, err)
	}
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// bay takes an upload in, and does to its parts what the test says, one after
// the other: "cut N" breaks off when N bytes of it have come, a number refuses
// it, all else takes it.
type bay struct {
	mu    sync.Mutex // held for what follows
	parts []string
	has   int
	got   []string // ranges
}

func (b *bay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method == http.MethodGet {
		if b.has == 0 {
			refuse(w, http.StatusNotFound, "uploads")
			return
		}
		fmt.Fprintf(w, `{"Size":%d}`, b.has)
		return
	}
	part := "take"
	if len(b.parts) > 0 {
		part, b.parts = b.parts[0], b.parts[1:]
	}
	b.got = append(b.got, r.Header.Get("Content-Range"))
	var n, code int
	if _, err := fmt.Sscanf(part, "cut %d", &n); err == nil {
		io.CopyN(io.Discard, r.Body, int64(max(1, n))) // asking for it
		b.has += n
		breakOff()
	}
	if fmt.Sscanf(part, "%d", &code); code > 0 {
		refuse(w, code, "uploads")
		return
	}
	taken, _ := io.Copy(io.Discard, r.Body)
	b.has += int(taken)
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"Path":"sha256:ab"}`)
}

func refuse(w http.ResponseWriter, code int, subject string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"Model":%q,"Type":"x","Messages":["as said"],"Code":%d}`, subject, code)
}

const hundred = 100

func hundredBytes() Upload {
	return Upload{Archive: strings.NewReader(strings.Repeat("x", hundred)), Size: hundred, Digest: "ab", Patience: time.Minute,
		At: func(int64) {}, Lost: func(error) {}}
}

func TestAnUploadGoesOnWhereItWasCut(t *testing.T) {
	b := &bay{parts: []string{"cut 40", "416", "409", "503", "cut 60"}}
	c := serve(t, b.ServeHTTP)
	_, created, sent, err := c.Upload(t.Context(), hundredBytes())
	if err != nil || !created || sent.Resumed != hundred || sent.Begin != 0 {
		t.Fatalf("created %v, %+v, %v", created, sent, err)
	}
	want := []string{"", "bytes 40-99/100", "bytes 40-99/100", "bytes 40-99/100", "bytes 40-99/100", "bytes */100"}
	if diff := cmp.Diff(want, b.got); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}

func TestBytesThatWereSentTwiceAreCounted(t *testing.T) {
	for _, c := range []struct {
		sent Sent
		want int64
	}{{Sent{Bytes: 100}, 0}, {Sent{Bytes: 110}, 10}, {Sent{Begin: 40, Bytes: 60}, 0}, {Sent{Begin: 40, Bytes: 61}, 1}, {Sent{}, 0}} {
		if got := c.sent.Twice(hundred); got != c.want {
			t.Errorf("%+v: %d, want %d", c.sent, got, c.want)
		}
	}
}

func TestAnUploadThatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	for _, code := range []string{"400", "413", "422", "500"} {
		b := &bay{parts: []string{code}}
		var refused *model.Error
		if _, _, _, err := serve(t, b.ServeHTTP).Upload(t.Context(), hundredBytes()); !errors.As(err, &refused) || len(b.got) != 1 {
			t.Errorf("%s: tried %d times, %v", code, len(b.got), err)
		}
	}
	another := serve(t, func(w http.ResponseWriter, r *http.Request) { refuse(w, http.StatusConflict, "system") })
	var refused *model.Error
	if _, _, _, err := another.Upload(t.Context(), hundredBytes()); !errors.As(err, &refused) || refused.Code != 409 {
		t.Errorf("another archive is staged: %v", err)
	}
}

func TestAnUploadGoesOnThroughTheNextOfTheEndpoints(t *testing.T) {
	b := &bay{}
	second := serve(t, b.ServeHTTP)
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			refuse(w, http.StatusNotFound, "uploads")
			return
		}
		io.CopyN(io.Discard, r.Body, 1)
		breakOff()
	})
	c, err := New(Config{Endpoint: first.Endpoint(), Others: []string{second.Endpoint()}, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	u := hundredBytes()
	u.Lost = func(error) { lost++ }
	if _, created, _, err := c.Upload(t.Context(), u); err != nil || !created || lost != 1 || b.has != hundred {
		t.Errorf("created %v, lost %d, %d bytes, %v", created, lost, b.has, err)
	}
	if _, err := New(Config{Endpoint: first.Endpoint(), Others: []string{"http://n2"}}); err == nil {
		t.Error("a login would cross the network in clear")
	}
}

func TestWhatCannotBeReachedIsAskedOfTheOthers(t *testing.T) {
	second := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"version":"1.0.0"}`) })
	c, err := New(Config{Endpoint: "https://127.0.0.1:1", Others: []string{second.Endpoint()}, Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	var info model.Info
	if _, err := c.Read(t.Context(), "info", nil, &info); err != nil || info.Version != "1.0.0" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAnUploadThatDoesNotMoveIsGivenUpWithTheWayOn(t *testing.T) {
	b := &bay{has: 40}
	for range 100 {
		b.parts = append(b.parts, "cut 0")
	}
	u := hundredBytes()
	u.Patience = 20 * time.Millisecond
	_, _, _, err := serve(t, b.ServeHTTP).Upload(t.Context(), u)
	var cut *Cut
	var silent *Unreachable
	if !errors.As(err, &cut) || cut.At != 40 || !errors.As(err, &silent) || !strings.Contains(err.Error(), "the same command goes on") {
		t.Errorf("%v", err)
	}
}

func TestAnUploadThatIsCalledOffEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	u := hundredBytes()
	u.Lost = func(error) { cancel() }
	b := &bay{parts: []string{"cut 1"}}
	if _, _, _, err := serve(t, b.ServeHTTP).Upload(ctx, u); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

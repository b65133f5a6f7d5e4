package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/model"
)

const (
	// uploadIdle is how long a body may stand still. There is no limit on the whole:
	// an archive may be large and the line slow.
	uploadIdle = 60 * time.Second

	// lastLimit is for what is on its way when this member is about to stop: less
	// than it waits for connections (stopDrain in cmd/theseusd).
	lastLimit = time.Second
)

// body is a request's body under a deadline for each read, and knows whether it
// was read to its end.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration

	mu    sync.Mutex // held for what follows, and for setting the deadline
	ended bool
	limit time.Time // it is not read after; zero: there is none
}

func (b *body) Read(p []byte) (int, error) {
	if !b.extend() {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.finish()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = b.late()
	}
	return n, err
}

// extend gives the next bytes their time. It is false for a body that has ended:
// a deadline would end the request itself.
func (b *body) extend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	until := time.Now().Add(b.idle)
	if !b.limit.IsZero() && b.limit.Before(until) {
		until = b.limit
	}
	b.control.SetReadDeadline(until)
	return true
}

// finish notes the end of b: from now on the request takes as long as it takes.
// endWith may have set a deadline a moment ago.
func (b *body) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.control.SetReadDeadline(time.Time{})
}

// unread says whether more of b may come.
func (b *body) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}

// late says why no more is read.
func (b *body) late() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.limit.IsZero() {
		return model.Problemf(model.Unavailable, "this member is stopping: what has come is kept; go on through another one, or through this one when it is back")
	}
	return model.Problemf(model.Malformed, "receive the request: nothing came for %s", b.idle)
}

// endWith ends b when this member is about to stop, so that the client goes on
// elsewhere. What has been sent by then is taken in first: it is with the kernel,
// and would have to be sent twice. It returns when ctx is done at the latest.
func (b *body) endWith(ctx context.Context, draining *atomic.Bool) {
	look := time.NewTicker(lookOut)
	defer look.Stop()
	for !draining.Load() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
	b.mu.Lock()
	b.limit = time.Now().Add(lastLimit)
	b.mu.Unlock()
	b.extend()
}

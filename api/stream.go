package api

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const textKind = "text/plain; charset=utf-8"

// stream is a body that comes in pieces. next waits for a piece and says whether
// there is more.
type stream struct {
	kind string
	next func(context.Context) (piece []byte, more bool, err error)
}

// pour writes a stream to its end. It ends too when this member leaves for its
// own upgrade: then the client comes back, to this one or another.
func (a *API) pour(w http.ResponseWriter, r *http.Request, s stream) (size int) {
	w.Header().Set("Content-Type", s.kind)
	w.Header().Set("Connection", "close") // nobody waits for its end
	control := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	for {
		piece, more, err := a.nextPiece(r, s)
		if errors.Is(err, context.DeadlineExceeded) && !a.draining.Load() {
			continue // nothing to say for a while
		}
		control.SetWriteDeadline(time.Now().Add(writeLimit))
		n, broken := w.Write(piece)
		size += n
		if err != nil || broken != nil || control.Flush() != nil || !more {
			return size
		}
	}
}

// lookOut is how often a stream looks whether this member is leaving.
const lookOut = 100 * time.Millisecond

func (a *API) nextPiece(r *http.Request, s stream) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(r.Context(), lookOut)
	defer cancel()
	return s.next(ctx)
}

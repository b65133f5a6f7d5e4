package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// stallLimit is how long a member may take no byte before it is asked anew.
const stallLimit = time.Minute

// Upload is an archive to be put on every member, gone on with where it was cut.
type Upload struct {
	Archive  io.ReaderAt
	Size     int64         // in bytes, not 0
	Digest   string        // SHA-256 in lower-case hex
	Exclude  []string      // members not to wait for
	Patience time.Duration // give up when so long no byte more has come
	At       func(int64)   // called as bytes go out, with how many of the archive are out; it may go back
	Lost     func(error)   // called each time it is cut
}

// Sent is what an upload took.
type Sent struct {
	Begin   int64 // bytes that had come before it began
	Resumed int64 // where it was last gone on from; 0: nowhere
	Bytes   int64 // that were sent
}

// Twice is how many bytes were sent more often than once, to an archive of size.
func (s Sent) Twice(size int64) int64 { return max(0, s.Bytes-(size-s.Begin)) }

// Cut is returned for an upload that was given up.
type Cut struct {
	At, Size int64
	Err      error // why it did not go on
}

func (e *Cut) Error() string {
	return fmt.Sprintf("the upload was cut with %d of %d bytes there, and can't go on: %v: the same command goes on from there within a day", e.At, e.Size, e.Err)
}

func (e *Cut) Unwrap() error { return e.Err }

// upload is one Upload under way.
type upload struct {
	Upload
	ask   []*Client // the one asked is the first
	tries int
	heard bool // somebody has answered
	best  int64
	moved time.Time // when more had come last
	sent  Sent
}

// Upload stages an archive through the member that c asks, or through the
// others of Config.Others in turn when it is gone. It sends what the cluster
// does not have, and returns when every member has attested its own copy;
// created is false when this archive was there already.
func (c *Client) Upload(ctx context.Context, u Upload) (blob model.BlobInfo, created bool, sent Sent, err error) {
	w := &upload{Upload: u, ask: append([]*Client{c}, c.others...), moved: time.Now()}
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		best := w.best
		blob, created, err = w.try(ctx)
		if err == nil || ctx.Err() != nil || !w.passing(err) {
			return blob, created, w.sent, err
		}
		if time.Since(w.moved) > w.Patience {
			return blob, false, w.sent, &Cut{At: w.best, Size: w.Size, Err: err}
		}
		w.Lost(err)
		if w.best > best {
			pause = firstPause
		}
		w.ask = append(w.ask[1:], w.ask[0])
		if !rest(ctx, pause) {
			return blob, false, w.sent, ctx.Err()
		}
	}
}

// try asks how much has come and sends the rest.
func (w *upload) try(ctx context.Context) (blob model.BlobInfo, created bool, err error) {
	w.tries++
	at, err := w.received(ctx)
	if err != nil {
		return blob, false, err
	}
	if w.tries == 1 || !w.heard {
		w.sent.Begin = at
	}
	w.heard = true
	if at > w.best {
		w.best, w.moved = at, time.Now()
	}
	if at > 0 {
		w.sent.Resumed = at
	}
	return w.send(ctx, at)
}

// received is how much of the archive the cluster has. A server that can't tell
// takes it from the beginning.
func (w *upload) received(ctx context.Context) (int64, error) {
	asked := *w.ask[0]
	if w.heard || len(w.ask) > 1 {
		asked.patience = 0 // the tries are the patience
	}
	var got struct{ Size int64 }
	_, err := asked.Read(ctx, "system/upgrade/stage", url.Values{"sha256": {w.Digest}}, &got)
	var refused *model.Error
	if errors.As(err, &refused) && (refused.Code == http.StatusNotFound || refused.Code == http.StatusMethodNotAllowed) {
		return 0, nil
	}
	if err == nil && (got.Size < 0 || got.Size > w.Size) {
		err = fmt.Errorf("the cluster has %d bytes of an archive of %d", got.Size, w.Size)
	}
	return got.Size, err
}

// send sends the archive from byte at on.
func (w *upload) send(ctx context.Context, at int64) (blob model.BlobInfo, created bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body := &outgoing{from: io.NewSectionReader(w.Archive, at, w.Size-at), at: at, tell: w.At}
	body.stall = time.AfterFunc(stallLimit, func() { body.stalled.Store(true); cancel() })
	defer body.stall.Stop()
	r := uploading(body, w.Size-at)
	r.query = exclusion(w.Exclude)
	r.query.Set("sha256", w.Digest)
	switch {
	case at == w.Size:
		r.body, r.size = http.NoBody, 0
		r.header.Set("Content-Range", fmt.Sprintf("bytes */%d", w.Size))
		r.header.Del("Expect")
		body.stall.Stop()
	case at > 0:
		r.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, w.Size-1, w.Size))
	}
	a, err := w.ask[0].do(ctx, r)
	w.sent.Bytes += body.sent.Load()
	if body.stalled.Load() {
		err = &Unreachable{Endpoint: w.ask[0].Endpoint(), Sent: true, Err: fmt.Errorf("it has taken no byte for %s", stallLimit)}
	}
	if err != nil {
		return blob, false, err
	}
	return blob, a.status == http.StatusCreated, decode(r.path, a.body, &blob)
}

// uploading is the request that carries an archive. It is only sent when the
// member has asked for it, so that a refusal comes before the first byte.
func uploading(body io.Reader, size int64) request {
	return request{
		method: http.MethodPost, path: "system/upgrade/stage", query: url.Values{}, body: io.NopCloser(body), size: size,
		header: http.Header{"Content-Type": {"application/octet-stream"}, "Expect": {"100-continue"}},
	}
}

func exclusion(members []string) url.Values {
	if len(members) == 0 {
		return url.Values{}
	}
	return url.Values{"exclude": {strings.Join(members, ",")}}
}

// passing says that err may go away by itself.
func (w *upload) passing(err error) bool {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Code == http.StatusRequestedRangeNotSatisfiable || e.Code == http.StatusConflict && e.Model == "uploads" ||
			e.Code == http.StatusBadGateway || e.Code == http.StatusServiceUnavailable || e.Code == http.StatusGatewayTimeout
	}
	return again(err) && (w.heard || w.tries < len(w.ask))
}

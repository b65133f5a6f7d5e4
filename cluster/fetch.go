package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// streamer answers a call with bytes of a known length; whoever asked for it
// closes the body.
type streamer func(ctx context.Context, question json.RawMessage) (body io.ReadCloser, size int64, err error)

// HandleStream has answer reply to the fetches of a path. Register before
// members are told of this one, at the start.
func (n *Node) HandleStream(path string, answer func(ctx context.Context, question json.RawMessage) (io.ReadCloser, int64, error)) {
	n.calls.mu.Lock()
	defer n.calls.mu.Unlock()
	n.calls.streams[path] = answer
}

// Fetch asks another member for bytes that are too many for a Call. The body,
// which the caller closes, gives size bytes or an error. It may be asked again.
func (n *Node) Fetch(ctx context.Context, member, path string, in any) (body io.ReadCloser, size int64, err error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, 0, fmt.Errorf("fetch %s: %w", path, err)
	}
	answer, err := n.calls.send(ctx, member, path, raw)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, answer.ContentLength, nil
	}
	defer answer.Body.Close()
	failed, err := io.ReadAll(io.LimitReader(answer.Body, callLimit))
	if err != nil {
		return nil, 0, &unreachable{member: member, cause: err}
	}
	return nil, 0, readFailure(path, failed)
}

// send posts a question to a member. The caller closes the answer's body.
func (c *calls) send(ctx context.Context, member, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+member+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", path, err)
	}
	// Any value lets net/http send it again on a connection that had gone stale.
	r.Header.Set("Idempotency-Key", "1")
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, &unreachable{member: member, cause: bare(err)}
	}
	return answer, nil
}

// streamTo answers a fetch. Once the first byte is out there is no error to send:
// the connection is cut, and the asker sees fewer bytes than were promised.
func (c *calls) streamTo(w http.ResponseWriter, r *http.Request, answer streamer, question []byte) error {
	body, size, err := answer(r.Context(), question)
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	if _, err := io.CopyN(w, body, size); err != nil {
		c.node.log.Warn("send bytes to a member", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	readWithin  = 15 * time.Second // a consistent read may be held for 10
	writeWithin = 30 * time.Second // a write may be held for 10, twice over
	firstPause  = 50 * time.Millisecond
	longPause   = time.Second
	answerLimit = 64 << 20 // bytes
)

// request is one call of the API. A within of 0 sets no limit.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	body         io.Reader
	size         int64 // of body; -1: not known
	within       time.Duration
}

// answer is a whole answer below 400.
type answer struct {
	status int
	index  uint64 // X-Theseus-Index; 0 when it is not there
	body   []byte
}

// Path joins segments to a path below /api/v3; each is escaped, slashes too.
func Path(segments ...string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return strings.Join(escaped, "/")
}

// ParamPath is the path of one param. The slashes of its key stay as they are,
// as Digital Rebar's clients send them.
func ParamPath(profile, key string) string {
	return Path(append([]string{"profiles", profile, "params"}, strings.Split(key, "/")...)...)
}

// Read gets path (see Path) into into, and answers the index of the store that
// it was read at. It may be called again at will, and does so itself while
// nothing answers. Numbers without a type of their own arrive as json.Number.
func (c *Client) Read(ctx context.Context, path string, query url.Values, into any) (index uint64, err error) {
	until := time.Now().Add(c.patience)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		index, err = c.read(ctx, path, query, into)
		if !again(err) || time.Until(until) < pause || !rest(ctx, pause) {
			return index, err
		}
	}
}

func (c *Client) read(ctx context.Context, path string, query url.Values, into any) (uint64, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, within: readWithin})
	if err != nil {
		return a.index, err
	}
	return a.index, decode(path, a.body, into)
}

// again says that nothing answered and that this may change by itself.
func again(err error) bool {
	u, silent := err.(*Unreachable)
	return silent && !untrusted(u.Err)
}

func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Write sends body (nil for none) as JSON, once, and reads the answer into into
// (nil to drop it). It answers the status, which is below 400.
func (c *Client) Write(ctx context.Context, method, path string, body, into any) (status int, err error) {
	r := request{method: method, path: path, within: writeWithin}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("write the body of %s %s: %w", method, path, err)
		}
		r.body, r.size = bytes.NewReader(raw), int64(len(raw))
		r.header = http.Header{"Content-Type": {"application/json"}}
	}
	a, err := c.do(ctx, r)
	if err != nil || into == nil {
		return a.status, err
	}
	return a.status, decode(path, a.body, into)
}

func decode(path string, body []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok && json.Valid(body) {
		*raw = body
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

// do sends r once and reads the whole answer, from the first of the members that
// can be reached.
func (c *Client) do(ctx context.Context, r request) (answer, error) {
	a, err := c.once(ctx, r)
	for _, other := range c.others {
		var gone *Unreachable
		if !errors.As(err, &gone) || !neverSent(gone.Err) || untrusted(gone.Err) {
			break
		}
		a, err = other.once(ctx, r)
	}
	return a, err
}

func (c *Client) once(ctx context.Context, r request) (answer, error) {
	limited := ctx
	if r.within > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, r.within)
		defer cancel()
	}
	req, err := c.prepare(limited, r)
	if err != nil {
		return answer{}, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, c.unreachable(ctx, r, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return answer{}, c.unreachable(ctx, r, err)
	}
	index, _ := strconv.ParseUint(res.Header.Get("X-Theseus-Index"), 10, 64)
	a := answer{status: res.StatusCode, index: index, body: body}
	switch {
	case a.status >= 400:
		return a, refusal(a.status, body)
	case a.status >= 300:
		return a, strange(a.status, body)
	}
	return a, nil
}

func (c *Client) prepare(ctx context.Context, r request) (*http.Request, error) {
	u := c.Endpoint() + "/api/v3/" + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, r.body)
	if err != nil {
		return nil, fmt.Errorf("make the request %s %s: %w", r.method, r.path, err)
	}
	for key, values := range r.header {
		req.Header[key] = values
	}
	if r.body != nil {
		req.ContentLength = r.size
	}
	req.Header.Set("Accept", "application/json")
	c.authorize(req)
	return req, nil
}

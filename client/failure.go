package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/theseusd/theseus/model"
)

// Unreachable is returned when a member gave no answer, or not a whole one.
type Unreachable struct {
	Endpoint string
	// Sent says that the request may have arrived: a write may have been done.
	Sent bool
	Err  error
}

func (e *Unreachable) Error() string {
	if e.Sent {
		return fmt.Sprintf("ask %s: the request was sent, no answer came, it may have been done: %v", e.Endpoint, e.Err)
	}
	return fmt.Sprintf("reach %s: %v", e.Endpoint, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// unreachable puts a transport error in words; whoever called it off is told so.
func (c *Client) unreachable(ctx context.Context, r request, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", r.within)
	}
	return &Unreachable{Endpoint: c.Endpoint(), Sent: r.method != http.MethodGet && !neverSent(err), Err: bare(err)}
}

// neverSent says that the connection was not made, so that no byte went out.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || untrusted(err)
}

func untrusted(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

// bare takes off the method and URL that net/http puts before the cause.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// refusal is the error in an answer of 400 and above; an answer that is not in
// the API's shape comes from something else, such as a proxy, and is shown as it is.
func refusal(status int, body []byte) error {
	var e model.Error
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" && len(e.Messages) == 0 {
		return strange(status, body)
	}
	e.Code = status
	return &e
}

func strange(status int, body []byte) error {
	const shown = 200
	text := bytes.TrimSpace(body)
	if len(text) > shown {
		text = text[:shown]
	}
	return &model.Error{Type: "CLIENT_ERROR", Code: status, Messages: []string{
		fmt.Sprintf("the answer is not one of Theseus: %d %s: %q", status, http.StatusText(status), text)}}
}

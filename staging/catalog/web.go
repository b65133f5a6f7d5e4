package catalog

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// web is a catalog below an HTTP(S) address.
type web struct {
	base   *url.URL
	client *http.Client
	idle   time.Duration // how long no byte may come
}

func newWeb(address string) (*web, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.ForceQuery {
		return nil, model.Problemf(model.Malformed, "open the catalog: %q is not the address of a directory: want https://HOST/PATH, without ? and #", redact(address))
	}
	base.Scheme = strings.ToLower(base.Scheme)
	return &web{base: base, client: newClient(base.Scheme), idle: 30 * time.Second}, nil
}

// redact is an address that may not even be one, without what may be a password.
func redact(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
}

// newClient bounds every wait but the one for the body, which web.idle bounds.
// Compression is off: it would change sizes and offsets.
func newClient(scheme string) *http.Client {
	const patience = 30 * time.Second
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: patience}).DialContext,
		TLSHandshakeTimeout:   patience,
		ResponseHeaderTimeout: patience,
		IdleConnTimeout:       patience,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
	}
	return &http.Client{Transport: t, CheckRedirect: func(to *http.Request, via []*http.Request) error {
		const most = 10
		switch {
		case to.URL.Scheme != scheme:
			return model.Problemf(model.Refused, "it sends us on from %s to %s: give the address that is meant", scheme, to.URL.Redacted())
		case len(via) >= most:
			return model.Problemf(model.Refused, "it sends us on more than %d times", most)
		}
		return nil
	}}
}

func (w *web) String() string { return w.base.Redacted() }

func (w *web) open(ctx context.Context, file string, from int64, tag string) (*stream, error) {
	call, cancel := context.WithCancelCause(ctx)
	a, err := w.get(call, file, from, tag)
	if err != nil {
		cancel(nil)
		return nil, broken(ctx, file, err)
	}
	s, err := answered(file, from, a)
	if err != nil {
		a.Body.Close()
		cancel(nil)
		return nil, err
	}
	s.ReadCloser = newPatient(ctx, call, cancel, a.Body, file, w.idle)
	return s, nil
}

func (w *web) get(ctx context.Context, file string, from int64, tag string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base.JoinPath(file).String(), nil)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		if tag != "" {
			r.Header.Set("If-Range", tag)
		}
	}
	return w.client.Do(r)
}

// answered reads what kind of answer a is to a request for file from there on.
func answered(file string, from int64, a *http.Response) (*stream, error) {
	switch a.StatusCode {
	case http.StatusOK:
		return &stream{size: a.ContentLength, tag: tagOf(a)}, nil
	case http.StatusPartialContent:
		if size, fits := parseRange(a.Header.Get("Content-Range"), from); fits {
			return &stream{from: from, size: size, tag: tagOf(a)}, nil
		}
		return nil, problem(model.Refused, file, a, "it answers another part than it was asked for (Content-Range %q)", a.Header.Get("Content-Range"))
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, problem(model.Refused, file, a, "it is shorter than %s says", indexName)
	case http.StatusNotFound, http.StatusGone:
		return nil, problem(model.NotFound, file, a, "it is not there")
	case http.StatusUnauthorized:
		return nil, problem(model.Unauthorized, file, a, "it wants a login: put it into the address, https://USER:PASSWORD@HOST/PATH")
	case http.StatusForbidden:
		return nil, problem(model.Forbidden, file, a, "it may not be read")
	}
	return nil, problem(model.Unavailable, file, a, "it cannot be had now")
}

func problem(kind model.Kind, file string, a *http.Response, format string, args ...any) *model.Problem {
	return model.Problemf(kind, "%s: %s (answer %d of %s)", file, fmt.Sprintf(format, args...), a.StatusCode, a.Request.URL.Host)
}

// parseRange reads "bytes 5-9/10" and says whether it begins at from and goes to
// the end; the size is that of the whole.
func parseRange(text string, from int64) (size int64, fits bool) {
	part, whole, split := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, last, dash := strings.Cut(part, "-")
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	size, errSize := strconv.ParseInt(whole, 10, 64)
	return size, split && dash && errors.Join(errA, errB, errSize) == nil && a == from && b == size-1
}

// tagOf is what If-Range takes (RFC 9110, 13.1.5): a strong entity tag, else the
// time of the last change.
func tagOf(a *http.Response) string {
	if tag := a.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return a.Header.Get("Last-Modified")
}

// broken is err of a connection, unless the caller gave up or a rule of ours refused.
func broken(ctx context.Context, file string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var ours *model.Problem
	if errors.As(err, &ours) {
		return model.Problemf(ours.Kind, "%s: %w", file, ours)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // its text repeats the address
	}
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) {
		return model.Problemf(model.Unavailable, "%s: %w: make the system trust the CA of the catalog, or name its file by SSL_CERT_FILE", file, err)
	}
	return model.Problemf(model.Unavailable, "%s: %w", file, err)
}

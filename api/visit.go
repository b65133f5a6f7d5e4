package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/model"
)

// visit is one request on its way through. It belongs to the request's goroutine.
type visit struct {
	id    string
	start time.Time
	user  string      // "": not logged in
	pass  *model.Pass // of a migration; nil: somebody else
	body  *body       // nil: there is none
}

type visitKey struct{}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }

// ServeHTTP sees a request in, whoever answers it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{id: requestID(r), start: time.Now()}
	r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	if r.Body != nil && r.Body != http.NoBody {
		v.body = &body{ReadCloser: r.Body, control: http.NewResponseController(w), idle: a.idle}
		r.Body = v.body
	}
	// Routes are found by the decoded path. A client with a slash after its
	// endpoint sends two.
	r.URL.RawPath = ""
	if strings.HasPrefix(r.URL.Path, "//") {
		r.URL.Path = "/" + strings.TrimLeft(r.URL.Path, "/")
	}
	maps.Copy(w.Header(), a.secure)
	w.Header().Set("X-Request-Id", v.id)
	if err := a.origins.Check(r); err != nil {
		a.answer(crossOrigin)(w, r)
		return
	}
	a.routes.ServeHTTP(w, r)
}

// secure is what browsers should know; nothing here is meant to be framed,
// cached or run.
func secure() http.Header {
	h := http.Header{}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	return h
}

// crossOrigin refuses what another site makes a browser send.
func crossOrigin(http.Header, *http.Request) (int, any, error) {
	return 0, nil, model.Problemf(model.Forbidden, "a page of another site sent this request")
}

// requestID is the client's own id for the request if it is fit for a log.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id != "" && len(id) <= 64 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == "" {
		return id
	}
	var b [8]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

// logAccess notes a request. The query is left out: it may hold anything.
func (a *API) logAccess(r *http.Request, v *visit, status, size int) {
	if !a.log.Enabled(r.Context(), slog.LevelDebug) {
		return
	}
	a.log.Debug("request", "id", v.id, "method", r.Method, "path", r.URL.Path, "status", status, "bytes", size,
		"took", time.Since(v.start), "user", v.user, "remote", r.RemoteAddr)
}

func (a *API) logInternal(r *http.Request, err error) {
	attrs := []any{"id", visitOf(r).id, "method", r.Method, "path", r.URL.Path, "error", err}
	var p *panicError
	if errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.stack))
	}
	a.log.Error("answer a request", attrs...)
}

// remoteHost is the address that a request came from.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// methods are those that a path has.
func (a *API) methods(path string) []string {
	var has []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if a.routes.Match(chi.NewRouteContext(), m, path) {
			has = append(has, m)
		}
	}
	return has
}

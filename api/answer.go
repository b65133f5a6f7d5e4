package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// handler answers one request. It may set headers; the body is written as JSON,
// unless it is a page or a stream. With an error the status and the body do not count.
type handler func(h http.Header, r *http.Request) (status int, body any, err error)

// page is a body that is rendered already.
type page struct {
	kind string // content type
	data []byte
	etag string // "": none
}

const (
	jsonKind   = "application/json"
	writeLimit = 30 * time.Second // for a client to take an answer
	dropLimit  = time.Second      // for what is left of a body that nobody reads
)

// empty is the body {}.
type empty struct{}

// answer makes an http.HandlerFunc of h: it alone calls it, explains its errors
// and writes.
func (a *API) answer(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := visitOf(r)
		status, body, err := a.call(h, w.Header(), r)
		if err != nil {
			status, body = a.explain(w.Header(), r, err)
		}
		a.write(w, r, v, status, body)
	}
}

// call runs h; a panic becomes an error of which the client sees nothing.
func (a *API) call(h handler, header http.Header, r *http.Request) (status int, body any, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = panicked(what)
		}
	}()
	return h(header, r)
}

// write is the one place where an answer goes out.
func (a *API) write(w http.ResponseWriter, r *http.Request, v *visit, status int, body any) {
	if f, ok := body.(download); ok {
		a.logAccess(r, v, status, a.send(w, f))
		return
	}
	if s, ok := body.(stream); ok {
		a.logAccess(r, v, status, a.pour(w, r, s))
		return
	}
	p, err := render(status, body)
	if err != nil {
		status, body = a.explain(w.Header(), r, err)
		p, _ = render(status, body) // a model.Error always has JSON
	}
	if unchanged(r, p.etag) {
		status, p.data = http.StatusNotModified, nil
	}
	h := w.Header()
	h.Set("Content-Type", p.kind)
	h.Set("Content-Length", strconv.Itoa(len(p.data)))
	if p.etag != "" {
		h.Set("ETag", p.etag)
	}
	control := http.NewResponseController(w)
	control.SetWriteDeadline(time.Now().Add(writeLimit))
	if a.draining.Load() {
		h.Set("Connection", "close")
	}
	if v.body != nil && v.body.unread() {
		// Whoever still sends is answered and hung up on: the rest of the body
		// must not be taken for a request, nor read for ever.
		h.Set("Connection", "close")
		control.SetReadDeadline(time.Now().Add(dropLimit))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead && len(p.data) > 0 {
		w.Write(p.data) // a client that is gone is no business of ours
	}
	a.logAccess(r, v, status, len(p.data))
}

func render(status int, body any) (page, error) {
	if p, ok := body.(page); ok {
		return p, nil
	}
	if status == http.StatusNoContent {
		return page{kind: jsonKind}, nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return page{}, err
	}
	return page{kind: jsonKind, data: append(raw, '\n')}, nil
}

// tagged renders v with an ETag of its contents.
func tagged(v any) (page, error) {
	p, err := render(http.StatusOK, v)
	if err != nil {
		return p, err
	}
	sum := sha256.Sum256(p.data)
	p.etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	return p, nil
}

// unchanged says that the client has what it asks for.
func unchanged(r *http.Request, etag string) bool {
	known := r.Header.Get("If-None-Match")
	if etag == "" || known == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, one := range strings.Split(known, ",") {
		if one = strings.TrimSpace(one); one == etag || one == "W/"+etag || one == "*" {
			return true
		}
	}
	return false
}

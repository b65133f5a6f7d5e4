package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// bodyLimit bounds every body but an upload: what it holds goes into the log
// as one entry.
const bodyLimit = 1 << 20

// nestLimit bounds how deep the values of a body lie in each other. encoding/json
// reads 10,000 levels and no more, and an entry of the log adds some: one that no
// member can read would stop them all.
const nestLimit = 1000

// readBody reads a whole body.
func readBody(r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		var p *model.Problem
		if errors.As(err, &p) {
			return nil, p
		}
		return nil, model.Problemf(model.Malformed, "receive the request: it ended after %d bytes: %v", len(raw), err)
	}
	if len(raw) > bodyLimit {
		return nil, model.Problemf(model.TooLarge, "the body is larger than %d bytes, the limit", bodyLimit)
	}
	return raw, nil
}

// readStrict reads a body of ours: a field that we do not know is an error, and
// named. An empty body leaves into as it is.
func readStrict(r *http.Request, into any) error { return readJSON(r, into, true) }

// readLoose reads a body that Digital Rebar's clients send, with fields that we
// do not know.
func readLoose(r *http.Request, into any) error { return readJSON(r, into, false) }

func readJSON(r *http.Request, into any, strict bool) error {
	raw, err := readBody(r)
	if err != nil {
		return err
	}
	if strict && len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if deeperThan(nestLimit, raw) {
		return model.Problemf(model.Malformed, "read the body as JSON: it is nested more than %d deep, the limit", nestLimit)
	}
	if err := decode(raw, into, strict); err != nil {
		return model.Problemf(model.Malformed, "read the body as JSON: %v", err)
	}
	return nil
}

// decode reads one value that is all of raw.
func decode(raw []byte, into any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // a number goes out as it came in
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more bytes after the value")
	}
	return nil
}

// deeperThan says whether values lie in more than limit others. What is no JSON
// may be called either.
func deeperThan(limit int, raw []byte) bool {
	depth, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			text = !text
		case text && c == '\\':
			i++
		case text:
		case c == '[' || c == '{':
			if depth++; depth > limit {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// propose commits a command for r's client and answers what became of it.
func (a *API) propose(r *http.Request, op store.Op, body any) (store.Answer, error) {
	c, err := visitOf(r).command(op, body)
	if err != nil {
		return store.Answer{}, err
	}
	answer, err := a.Cluster.Propose(r.Context(), c)
	if err != nil {
		return answer, err
	}
	if fault := a.Store.Fault(); fault != nil {
		return answer, stoppedProblem(fault)
	}
	return answer, answer.Err()
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// insideKey marks a request that this process asks itself. Nothing that comes
// over the network has it.
type insideKey struct{}

func inside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }

// Shapes are the types of what this API answers to reading, by route and place:
// "/api/v3/info.version" is "string". Values are left out, and so is what users
// name themselves. It asks itself, in this process. It may be called again.
func (a *API) Shapes(ctx context.Context) (map[string]string, error) {
	shapes := map[string]string{}
	err := chi.Walk(a.routes, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodGet || strings.ContainsAny(pattern, "{*") || slices.Contains(costly(), pattern) {
			return nil
		}
		return a.shapeOf(ctx, pattern, shapes)
	})
	return shapes, err
}

// costly are reads that do something: a check is a trial run on every member, a
// verification writes through each.
func costly() []string {
	return []string{"/api/v3/system/upgrade/check", "/api/v3/system/upgrade/verify", "/api/v3/backups"}
}

// shapeOf adds the shape of one route, if it answers well and with JSON.
func (a *API) shapeOf(ctx context.Context, path string, shapes map[string]string) error {
	r, err := http.NewRequestWithContext(context.WithValue(ctx, insideKey{}, true), http.MethodGet, path, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask itself for %s: %w", path, err)
	}
	w := &echo{header: http.Header{}}
	a.ServeHTTP(w, r)
	if w.status == http.StatusServiceUnavailable {
		return fmt.Errorf("ask itself for %s: it cannot answer now: %s", path, bytes.TrimSpace(w.body.Bytes()))
	}
	var body any
	if w.status != http.StatusOK || w.header.Get("Content-Type") != jsonKind || json.Unmarshal(w.body.Bytes(), &body) != nil {
		return nil
	}
	addShape(shapes, path, body)
	return nil
}

// addShape adds the types of v and of what is in it. What is a number in one
// element of a list and a string in another is both.
func addShape(shapes map[string]string, at string, v any) {
	kind := "null"
	switch v := v.(type) {
	case bool:
		kind = "bool"
	case float64:
		kind = "number"
	case string:
		kind = "string"
	case []any:
		kind = "list"
		for _, element := range v {
			addShape(shapes, at+"[]", element)
		}
	case map[string]any:
		kind = "object"
		for name, member := range v {
			if !free(name) {
				addShape(shapes, at+"."+name, member)
			}
		}
	}
	if before := shapes[at]; before == "" || before == "null" {
		shapes[at] = kind
	} else if kind != "null" && before != kind {
		shapes[at] = "mixed"
	}
}

// free says whether what is below a name is for users, or for the moment, to say.
func free(name string) bool { return slices.Contains([]string{"Params", "Meta"}, name) }

// echo keeps an answer.
type echo struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *echo) Header() http.Header         { return w.header }
func (w *echo) WriteHeader(status int)      { w.status = status }
func (w *echo) Write(p []byte) (int, error) { return w.body.Write(p) }

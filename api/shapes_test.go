package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestShapesAreTypesByPlaceAndNothingOfAnybody(t *testing.T) {
	m := readyMember(t)
	shapes, err := m.Shapes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at, kind := range map[string]string{
		"/api/v3/info": "object", "/api/v3/info.version": "string", "/api/v3/info.api_port": "number",
		"/api/v3/info.features": "list", "/api/v3/info.features[]": "string", "/api/v3/info.ha_enabled": "bool",
		"/api/v3/system/consensus/peers": "list",
	} {
		if shapes[at] != kind {
			t.Errorf("%s is %q, not %q", at, shapes[at], kind)
		}
	}
	for at := range shapes {
		if strings.Contains(at, "Params.") || strings.HasPrefix(at, "/api/v3/system/upgrade/check") {
			t.Errorf("%s is in it", at)
		}
	}
}

func TestAListHasTheTypesOfAllItsElements(t *testing.T) {
	shapes := map[string]string{}
	addShape(shapes, "x", []any{map[string]any{"a": 1.0}, map[string]any{"a": "text", "b": nil}, map[string]any{"b": true, "Params": map[string]any{"c": 1.0}}})
	for at, kind := range map[string]string{"x": "list", "x[]": "object", "x[].a": "mixed", "x[].b": "bool"} {
		if shapes[at] != kind {
			t.Errorf("%s is %q, not %q", at, shapes[at], kind)
		}
	}
	if len(shapes) != 4 {
		t.Errorf("got %v", shapes)
	}
}

// Nobody leads for a moment at each election: that is no loss of a route.
func TestShapesAreNotToldWhileARouteCannotAnswer(t *testing.T) {
	m := readyMember(t)
	m.cluster.noLead = true
	shapes, err := m.Shapes(t.Context())
	if err == nil || !strings.Contains(err.Error(), "/api/v3/system/consensus/") || !strings.Contains(err.Error(), "no member leads") {
		t.Errorf("got %v and %d shapes", err, len(shapes))
	}
}

// Whoever comes over the network logs in, also with what requests of its own carry.
func TestOnlyThisProcessReadsWithoutALogin(t *testing.T) {
	m := readyMember(t)
	r := httptest.NewRequest(http.MethodGet, "/api/v3/profiles", http.NoBody)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a login: %d", w.Code)
	}
	w = httptest.NewRecorder()
	m.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), insideKey{}, true)))
	if w.Code != http.StatusOK {
		t.Errorf("from inside: %d %s", w.Code, w.Body)
	}
}

package api

import (
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

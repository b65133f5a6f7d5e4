package upgrader

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAnAPIHasLostIsNamedAndWhatItCannotShowIsNot(t *testing.T) {
	ours := map[string]string{
		"/info": "object", "/info.version": "string", "/info.errors": "list", "/info.errors[]": "string",
		"/profiles": "list", "/profiles[]": "object", "/profiles[].Name": "string", "/info.note": "null",
	}
	for name, c := range map[string]struct {
		change func(map[string]string)
		want   []string
	}{
		"the same":                    {func(map[string]string) {}, nil},
		"more":                        {func(s map[string]string) { s["/info.more"] = "bool" }, nil},
		"a field is gone":             {func(s map[string]string) { delete(s, "/info.version") }, []string{"/info.version is gone"}},
		"a field is of another type":  {func(s map[string]string) { s["/info.version"] = "number" }, []string{"/info.version is a number, not a string"}},
		"a field is null":             {func(s map[string]string) { s["/info.version"] = "null" }, nil},
		"a null was something":        {func(s map[string]string) { s["/info.note"] = "string" }, nil},
		"a list is empty":             {func(s map[string]string) { delete(s, "/info.errors[]") }, nil},
		"a list of objects is empty":  {func(s map[string]string) { delete(s, "/profiles[]"); delete(s, "/profiles[].Name") }, nil},
		"an element has lost a field": {func(s map[string]string) { delete(s, "/profiles[].Name") }, []string{"/profiles[].Name is gone"}},
		"an object is null":           {func(s map[string]string) { empty(s); s["/info"], s["/profiles"] = "null", "list" }, nil},
		"a route is gone": {func(s map[string]string) { empty(s) }, []string{"/info is gone", "/info.errors is gone", "/info.errors[] is gone", "/info.version is gone",
			"/profiles is gone", "/profiles[] is gone", "/profiles[].Name is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			theirs := map[string]string{}
			for k, v := range ours {
				theirs[k] = v
			}
			c.change(theirs)
			if diff := cmp.Diff(c.want, lostShapes(ours, theirs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func empty(s map[string]string) { maps.DeleteFunc(s, func(string, string) bool { return true }) }

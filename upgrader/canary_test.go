package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func (s *station) ReadIndex(context.Context) error { return s.noIndex }

// instead has a member answer a call otherwise.
func (c *fleet) instead(id, path string, answer func(context.Context, json.RawMessage) (any, error)) {
	c.members[id].answers[path] = answer
}

// shape has a member run an image whose API answers in shapes.
func (c *fleet) shape(id, image string, shapes map[string]string) {
	u := c.members[id].up
	u.Self.Image, u.Shapes = image, func(context.Context) (map[string]string, error) { return shapes, nil }
	c.done(store.OpMemberReport, store.MemberReport{Member: u.Self})
}

func TestTheCanaryTellsWhatDoesNotWorkFromWhatCannotBeKnown(t *testing.T) {
	nothing := func(context.Context, json.RawMessage) (any, error) { return struct{}{}, nil }
	quorumless := errors.New("no quorum")
	for name, one := range map[string]struct {
		before      func(*fleet)
		found, fail string // "": none
	}{
		"it works":               {func(*fleet) {}, "", ""},
		"it writes nothing":      {func(c *fleet) { c.instead("n1", pathCanaryWrite, nothing) }, "name-of-n1 answered a write that is not read through name-of-n", ""},
		"a write before it came": {func(c *fleet) { c.earlier("old"); c.instead("n1", pathCanaryWrite, nothing) }, "its writes are lost", ""},
		"a write came in between": {func(c *fleet) {
			c.instead("n1", pathCanaryWrite, func(context.Context, json.RawMessage) (any, error) { c.earlier("late"); return struct{}{}, nil })
		}, "", "another write came in between"},
		"it does not answer":        {func(c *fleet) { c.members["n1"].down = true }, "", "write through name-of-n1"},
		"one other does not answer": {func(c *fleet) { c.members["n3"].down = true }, "", ""},
		"no other answers":          {func(c *fleet) { c.members["n2"].down, c.members["n3"].down = true, true }, "", "through name-of-n3"},
		"no other is as new":        {func(c *fleet) { c.members["n2"].noIndex, c.members["n3"].noIndex = quorumless, quorumless }, "", "no quorum"},
		"its API has lost a field": {func(c *fleet) { c.shape("n1", "sha256:newer", map[string]string{"/info": "object"}) },
			"/info.version is gone", ""},
		"its API has more": {func(c *fleet) {
			c.shape("n1", "sha256:newer", map[string]string{"/info": "object", "/info.version": "string", "/more": "list"})
		}, "", ""},
		"its API cannot answer now": {func(c *fleet) {
			c.instead("n1", pathShapes, func(context.Context, json.RawMessage) (any, error) {
				return nil, model.Problemf(model.Unavailable, "nobody leads")
			})
		}, "", "nobody leads"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFleet(t, "", "n1", "n2", "n3")
			known := map[string]string{"/info": "object", "/info.version": "string"}
			c.shape("n1", "sha256:newer", known)
			c.shape("n2", "sha256:old", known)
			one.before(c)
			found, err := c.members["n2"].up.canary(t.Context(), c.look("n2"), "n1")
			if (err != nil) != (one.fail != "") || err != nil && !strings.Contains(err.Error(), one.fail) {
				t.Errorf("failed with %v", err)
			}
			if (len(found) > 0) != (one.found != "") || len(found) > 0 && (len(found) > 1 || !strings.Contains(found[0], one.found)) {
				t.Errorf("found %q", found)
			}
		})
	}
}

// earlier is a write of another canary.
func (c *fleet) earlier(nonce string) {
	c.done(store.OpCanaryWrite, store.CanaryWrite{Canary: model.Canary{Member: "n1", Nonce: nonce}})
}

func TestTheCanaryIsReadThroughAnotherIfThereIsOne(t *testing.T) {
	for _, one := range []struct{ ids, readers []string }{
		{[]string{"n1"}, []string{"n1"}},
		{[]string{"n1", "n2"}, []string{"n2"}},
		{[]string{"n1", "n2", "n3"}, []string{"n2", "n3"}},
	} {
		c := newFleet(t, "", one.ids...)
		u, p := c.members[slices.Max(one.ids)].up, c.look("n1")
		if diff := cmp.Diff(one.readers, u.readers(p, "n1")); diff != "" {
			t.Errorf("of %v: %s", one.ids, diff)
		}
		if found, err := u.canary(t.Context(), p, "n1"); err != nil || len(found) > 0 {
			t.Errorf("of %v: found %q, %v", one.ids, found, err)
		}
	}
}

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

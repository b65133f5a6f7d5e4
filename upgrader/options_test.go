package upgrader

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

func TestRunOptions(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	defaults := order{options: model.Options{Deadline: time.Hour, Probation: 10 * time.Second}}
	with := func(change func(*order)) order {
		o := defaults
		change(&o)
		return o
	}
	for _, c := range []struct {
		body string
		want order
		kind model.Kind
	}{
		{"", defaults, ""},
		{" \n", defaults, ""},
		{"{}", defaults, ""},
		{`{"deadline":"2h","probation":"0s"}`, order{options: model.Options{Deadline: 2 * time.Hour}}, ""},
		{`{"onFailure":"halt","mode":"complete","hold":false,"ignore":[],"force":false,"at":"","window":""}`, defaults, ""},
		{`{"exclude":[]}`, with(func(o *order) { o.exclude = []string{} }), ""},
		{`{"exclude":["n3"]}`, with(func(o *order) { o.exclude = []string{"n3"} }), ""},
		{`{"at":"2026-11-21T23:00:00+01:00"}`, with(func(o *order) { o.at = now.Add(10 * time.Hour) }), ""},
		{`{"at":"2026-11-21T12:00:00.5Z"}`, with(func(o *order) { o.at = now.Add(time.Second / 2) }), ""},
		{`{"at":"2026-12-21T12:00:00Z"}`, with(func(o *order) { o.at = now.Add(farthest) }), ""},
		{`{"at":"2026-11-21T12:00:00Z"}`, defaults, ""}, // what has passed is now
		{`{"at":"1999-01-01T00:00:00Z"}`, defaults, ""},
		{`{"window":"Sat 22:00-04:00 UTC"}`, with(func(o *order) { o.options.Window = "Sat 22:00-04:00 UTC" }), ""},
		{`{"deadline":"soon"}`, defaults, model.Malformed},
		{`{"deadline":"0s"}`, defaults, model.Malformed},
		{`{"probation":"-1s"}`, defaults, model.Malformed},
		{`{"probation":7}`, defaults, model.Malformed},
		{`{"at":"22:00"}`, defaults, model.Malformed},
		{`{"at":"2026-11-21T22:00:00"}`, defaults, model.Malformed},
		{`{"at":"2026-12-21T12:00:01Z"}`, defaults, model.Refused},
		{`{"window":"at night"}`, defaults, model.Malformed},
		{`{"exclude":"n3"}`, defaults, model.Malformed},
		{`{"speed":"fast"}`, defaults, model.Malformed},
		{`{} {}`, defaults, model.Malformed},
		{`[]`, defaults, model.Malformed},
		{`{"hold":true,"holdAfter":2}`, with(func(o *order) { o.options.Hold, o.options.HoldAfter = true, 2 }), ""},
		{`{"force":true}`, with(func(o *order) { o.options.Force = true }), ""},
		{`{"onFailure":"rollback"}`, with(func(o *order) { o.options.OnFailure = "rollback" }), ""},
		{`{"ignore":["quorum"]}`, with(func(o *order) { o.options.Ignore = []string{"quorum"} }), ""},
		{`{"await":"30m"}`, with(func(o *order) { o.options.Await = 30 * time.Minute }), ""},
		{`{"await":"-1s"}`, defaults, model.Malformed},
		{`{"holdAfter":-1}`, defaults, model.Malformed},
		{`{"onFailure":"explode"}`, defaults, model.Malformed},
		{`{"ignore":["disk"]}`, defaults, model.Refused},
		{`{"mode":"background","throttle":500}`, with(func(o *order) { o.options.Mode, o.options.Throttle = "background", 500 }), ""},
		{`{"mode":"slowly"}`, defaults, model.Malformed},
		{`{"throttle":-1}`, defaults, model.Malformed},
	} {
		got, err := parseOrder([]byte(c.body), now)
		if model.KindOf(err) != c.kind || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v and %v, want %+v and kind %q", c.body, got, err, c.want, c.kind)
		}
	}
}

// crew is a cluster of three voters and an observer.
func crew(before ...string) picture {
	p := picture{upgrade: &model.Upgrade{Options: model.Options{Exclude: before}}, members: map[string]model.Member{}}
	for _, n := range []string{"1", "2", "3", "4"} {
		p.members["id"+n] = model.Member{ID: "id" + n, Name: "n" + n, Observer: n == "4"}
	}
	return p
}

func TestWhoIsLeftOut(t *testing.T) {
	voters := []string{"id1", "id2", "id3"}
	for _, c := range []struct {
		before, said []string
		want         []string
		refusal      string
	}{
		{nil, nil, nil, ""},
		{nil, []string{"n3"}, []string{"id3"}, ""},
		{nil, []string{"id3", "n3"}, []string{"id3"}, ""},
		{nil, []string{"n4", "n2"}, []string{"id4", "id2"}, ""},
		{[]string{"id3", "gone"}, nil, []string{"id3"}, ""},
		{[]string{"id3"}, []string{}, nil, ""},
		{[]string{"id3"}, []string{"n2"}, []string{"id2"}, ""},
		{nil, []string{"n9"}, nil, `there is no member "n9"`},
		{nil, []string{"n2", "n3"}, nil, "without n2, n3 there are 1 of 3 voters left, and a quorum is 2"},
		{nil, []string{"n1", "n2", "n3", "n4"}, nil, "0 of 3 voters"},
	} {
		p := crew(c.before...)
		got, err := excluded(p, c.said)
		if err == nil {
			err = quorate(p, voters, got)
		}
		if c.refusal == "" {
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v after %v: %v, %v, want %v", c.said, c.before, got, err, c.want)
			}
			continue
		}
		if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), c.refusal) {
			t.Errorf("%v: %v, want %q", c.said, err, c.refusal)
		}
	}
}

package upgrader

import (
	"reflect"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

func TestRunOptions(t *testing.T) {
	defaults := model.Options{Deadline: time.Hour, Probation: 10 * time.Second}
	for _, c := range []struct {
		body string
		want model.Options
		kind model.Kind
	}{
		{"", defaults, ""},
		{" \n", defaults, ""},
		{"{}", defaults, ""},
		{`{"deadline":"2h","probation":"0s"}`, model.Options{Deadline: 2 * time.Hour}, ""},
		{`{"onFailure":"halt","mode":"complete","hold":false,"exclude":[],"ignore":[],"force":false}`, defaults, ""},
		{`{"deadline":"soon"}`, defaults, model.Malformed},
		{`{"deadline":"0s"}`, defaults, model.Malformed},
		{`{"probation":"-1s"}`, defaults, model.Malformed},
		{`{"probation":7}`, defaults, model.Malformed},
		{`{"speed":"fast"}`, defaults, model.Malformed},
		{`{} {}`, defaults, model.Malformed},
		{`[]`, defaults, model.Malformed},
		{`{"hold":true}`, defaults, model.Refused},
		{`{"force":true}`, defaults, model.Refused},
		{`{"exclude":["n2"]}`, defaults, model.Refused},
		{`{"ignore":["disk"]}`, defaults, model.Refused},
		{`{"mode":"background"}`, defaults, model.Refused},
		{`{"onFailure":"rollback"}`, defaults, model.Refused},
	} {
		got, err := parseOptions([]byte(c.body))
		if model.KindOf(err) != c.kind || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v and %v, want %+v and kind %q", c.body, got, err, c.want, c.kind)
		}
	}
}

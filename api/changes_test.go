package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const patched = "/api/v3/profiles"

func TestChangesAreAllOrNone(t *testing.T) {
	m := readyMember(t)
	for _, name := range []string{"p1", "p2"} {
		m.want(t, "POST", patched, `{"Name":"`+name+`","Params":{"n":12345678901234567890,"x":{"b":1.10}}}`, 201, "")
	}
	m.want(t, "PATCH", patched, `{"Changes":[
		{"Profile":"p1","Key":"n","Was":12345678901234567890,"Now":98765432109876543210},
		{"Profile":"p2","Key":"x","Was":{"b":1.10},"Now":null},
		{"Profile":"p2","Key":"n","Was":12345678901234567890},
		{"Profile":"p2","Key":"new","Now":[1]}]}`, 200, `{}`)
	m.want(t, "GET", patched+"/p1/params", "", 200, `{"n":98765432109876543210,"x":{"b":1.10}}`)
	m.want(t, "GET", patched+"/p2/params", "", 200, `{"new":[1],"x":null}`)
	m.want(t, "PATCH", patched, `{"Changes":[{"Profile":"p2","Key":"x","Was":null,"Now":1},{"Profile":"p2","Key":"x","Was":1,"Now":2}]}`, 200, "")
	m.want(t, "GET", patched+"/p2/params/x", "", 200, "2")
	first := `{"Changes":[{"Profile":"p1","Key":"x","Was":{"b":1.10},"Now":"new"},`
	for second, row := range map[string]struct {
		status int
		says   string
	}{
		`{"Profile":"p2","Key":"x","Was":3,"Now":4}`:                {409, `Changes[1] (Profile \"p2\", Key \"x\"): the param is not there, or not what Was says`},
		`{"Profile":"p2","Key":"gone","Was":3}`:                     {409, `Changes[1] (Profile \"p2\", Key \"gone\"): the param is not there`},
		`{"Profile":"p2","Key":"x","Now":4}`:                        {409, `Changes[1] (Profile \"p2\", Key \"x\"): there is such a param`},
		`{"Profile":"p1","Key":"x","Was":{"b":1.10},"Now":"again"}`: {409, `Changes[1] (Profile \"p1\", Key \"x\")`},
		`{"Profile":"p3","Key":"x","Now":4}`:                        {404, `Changes[1] (Profile \"p3\", Key \"x\"): there is no such profile`},
	} {
		w := m.want(t, "PATCH", patched, first+second+"]}", row.status, "")
		if !strings.Contains(w.Body.String(), row.says) || !strings.Contains(w.Body.String(), "nothing was changed") {
			t.Errorf("%s: %s", second, w.Body)
		}
	}
	m.want(t, "GET", patched+"/p1/params", "", 200, `{"n":98765432109876543210,"x":{"b":1.10}}`)
}

func TestAChangeThatFitsByNowIsToBeTriedAgain(t *testing.T) {
	m := readyMember(t)
	m.want(t, "POST", patched, sent, 201, "")
	m.cluster.refuse = store.ErrConflict
	w := m.want(t, "PATCH", patched, `{"Changes":[{"Profile":"p1","Key":"a/b","Was":1,"Now":2}]}`, 409, "")
	if !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("%s", w.Body)
	}
}

func TestAMalformedChangeIsNamed(t *testing.T) {
	m := readyMember(t)
	m.want(t, "POST", patched, sent, 201, "")
	const good = `{"Profile":"p1","Key":"a/b","Was":1,"Now":2}`
	for body, row := range map[string]struct {
		status int
		says   string
	}{
		``:                                {400, "Changes: there is none"},
		`{}`:                              {400, "Changes: there is none"},
		`{"Changes":[]}`:                  {400, "Changes: there is none"},
		`{"Changes":{}}`:                  {400, "read the body as JSON"},
		`[` + good + `]`:                  {400, "read the body as JSON"},
		`{"changes":[1],"x":1}`:           {400, "unknown field"},
		`{"Changes":[` + good + `,7]}`:    {400, "Changes[1]"},
		`{"Changes":[` + good + `,null]}`: {400, "Changes[1]"},
		`{"Changes":[` + good + `,{"Profile":"p1"}]}`:                                             {400, `Changes[1] (Profile \"p1\", Key \"\"): Key is missing`},
		`{"Changes":[` + good + `,{"Key":"k","Now":1}]}`:                                          {400, `Changes[1] (Profile \"\", Key \"k\"): Profile is missing`},
		`{"Changes":[` + good + `,{"Profile":"p1","Key":"k","Old":1}]}`:                           {400, `Changes[1] (Profile \"p1\", Key \"k\"): json: unknown field`},
		`{"Changes":[` + good + `,{"Profile":"p1","Key":7}]}`:                                     {400, `Changes[1] (Profile \"p1\"`},
		`{"Changes":[` + good + `]} {}`:                                                           {400, "more bytes"},
		`{"Changes":[{"Profile":"` + model.TrackingProfile + `","Key":"k"}]}`:                     {403, "read-only"},
		`{"Changes":[{"Profile":"p1","Key":"k","Now":"` + strings.Repeat("x", bodyLimit) + `"}]}`: {413, "larger than 1048576"},
	} {
		w := m.want(t, "PATCH", patched, body, row.status, "")
		if !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%.80s: %s", body, w.Body)
		}
	}
	m.want(t, "GET", patched, "", 200, "["+answered+"]")
}

func TestChangesAreClosedBelowTheirLevel(t *testing.T) {
	m := readyMember(t)
	m.cluster.refuse = store.Gate(store.OpParamsChange, model.Cluster{Version: "1.0.0", Level: 1})
	w := m.want(t, "PATCH", patched, `{"Changes":[{"Profile":"p1","Key":"k","Now":1}]}`, 409, "")
	if !strings.Contains(w.Body.String(), "needs protocol level 2, the cluster is at 1: closed until the upgrade is completed") {
		t.Errorf("%s", w.Body)
	}
}

// encoding/json reads 10,000 levels: an entry of more would stop every member.
func TestABodyThatIsNestedTooDeepIsRefused(t *testing.T) {
	m := readyMember(t)
	m.want(t, "POST", patched, sent, 201, "")
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for depth, status := range map[int]int{nestLimit: 200, nestLimit + 1: 400, 9999: 400, 10000: 400, 20000: 400} {
		m.want(t, "POST", patched+"/p1/params/deep", nested(depth), status, "")
		m.want(t, "PATCH", patched, `{"Changes":[{"Profile":"p1","Key":"deep`+fmt.Sprint(depth)+`","Now":`+nested(depth-3)+`}]}`, status, "")
	}
	m.want(t, "POST", patched+"/p1/params/text", `"`+strings.Repeat(`[\"`, 4*nestLimit)+`"`, 200, "")
	m.want(t, "POST", patched+"/p1/params/many", "["+strings.Repeat("[],", 2*nestLimit)+"1]", 200, "")
	if fault := m.Store.Fault(); fault != nil {
		t.Error(fault)
	}
}

func TestProfilesComeInPages(t *testing.T) {
	m := readyMember(t)
	for _, name := range []string{"pb", "pa", "pc", "p d", "Pz"} {
		m.want(t, "POST", patched, `{"Name":"`+name+`"}`, 201, "")
	}
	m.upgrader.profile = &model.Profile{Name: model.TrackingProfile, Params: map[string]any{"status": "staged"}}
	for query, want := range map[string]string{
		"?limit=2":             "Pz p d",
		"?limit=2&after=p%20d": "pa pb",
		"?limit=2&after=pb":    "pc",
		"?limit=2&after=pab":   "pb pc",
		"?limit=2&after=pc":    "",
		"?limit=1000&after=":   "Pz p d pa pb pc",
		"?limit=1&after=pzzz":  "",
	} {
		w := m.want(t, "GET", patched+query, "", 200, "")
		names := namesIn(t, w.Body.Bytes())
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if got := w.Header().Get("X-DRP-LIST-FILTER-COUNT"); got != fmt.Sprint(len(names)) {
			t.Errorf("%s: a count of %s", query, got)
		}
	}
	m.want(t, "GET", patched+"?limit=1&after=pb", "", 200, `[{"Validated":true,"Available":true,"Errors":[],"ReadOnly":false,"Meta":{},"Endpoint":"","Bundle":"","Partial":false,"Name":"pc","Description":"","Documentation":"","Params":{},"Profiles":[]}]`)
	if got := len(namesIn(t, m.want(t, "GET", patched, "", 200, "").Body.Bytes())); got != 6 {
		t.Errorf("%d in the whole list", got)
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=-1", "?limit=", "?limit=many", "?limit=1.5", "?after=pa"} {
		field := strings.Split(query[1:], "=")[0]
		if w := m.want(t, "GET", patched+query, "", 400, ""); !strings.Contains(w.Body.String(), field+"=") {
			t.Errorf("%s: %s", query, w.Body)
		}
	}
}

func namesIn(t *testing.T, list []byte) (names []string) {
	t.Helper()
	var all []model.Profile
	if err := json.Unmarshal(list, &all); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		names = append(names, p.Name)
	}
	return names
}

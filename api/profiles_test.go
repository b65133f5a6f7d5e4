package api

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// sent is a create as Digital Rebar's client was seen to send it.
const sent = `{"Validated":false,"Available":false,"Errors":null,"ReadOnly":false,"Meta":null,"Endpoint":"","Bundle":"","Partial":false,"Name":"p1","Description":"d1","Documentation":"","Params":{"a/b":1},"Profiles":null}`

// answered is what the server owns filled in.
const answered = `{"Validated":true,"Available":true,"Errors":[],"ReadOnly":false,"Meta":{},"Endpoint":"","Bundle":"","Partial":false,"Name":"p1","Description":"d1","Documentation":"","Params":{"a/b":1},"Profiles":[]}`

func TestAProfileLivesAndDies(t *testing.T) {
	m := readyMember(t)
	const p1 = "/api/v3/profiles/p1"
	m.want(t, "GET", p1, "", 404, `{"Model":"profiles","Key":"p1","Type":"GET","Messages":["Not Found"],"Code":404}`)
	m.want(t, "POST", "/api/v3/profiles", sent, 201, answered)
	m.want(t, "POST", "/api/v3/profiles", sent, 409, `{"Model":"profiles","Key":"p1","Type":"CREATE","Messages":["already exists"],"Code":409}`)
	m.want(t, "GET", p1, "", 200, answered)
	m.want(t, "GET", "/api/v3/profiles", "", 200, "["+answered+"]")
	changed := strings.Replace(answered, "d1", "d2", 1)
	m.want(t, "PUT", p1, strings.Replace(sent, "d1", "d2", 1), 200, changed)
	m.want(t, "GET", p1, "", 200, changed)
	m.want(t, "DELETE", p1, "", 200, changed)
	m.want(t, "DELETE", p1, "", 404, `{"Model":"profiles","Key":"p1","Type":"DELETE","Messages":["Not Found"],"Code":404}`)
	m.want(t, "PUT", p1, sent, 404, "")
	m.want(t, "GET", "/api/v3/profiles", "", 200, "[]")
}

func TestAProfileNeedsAName(t *testing.T) {
	m := readyMember(t)
	for _, name := range []string{"", "x", "1a", "-a", "a/b", "a\\u0000b", "a*"} {
		w := m.want(t, "POST", "/api/v3/profiles", `{"Name":"`+name+`"}`, 422, "")
		if !strings.Contains(w.Body.String(), `"Type":"ValidationError"`) {
			t.Errorf("%s", w.Body)
		}
	}
	m.want(t, "POST", "/api/v3/profiles", `{"Name":"n1 a.b_c-Ä"}`, 201, "")
	m.want(t, "POST", "/api/v3/profiles", `{"Name":"p1","Colour":"unknown fields of other servers are dropped"}`, 201, "")
	m.want(t, "PUT", "/api/v3/profiles/p1", `{"Name":"p2"}`, 422, "")
	m.want(t, "PUT", "/api/v3/profiles/p1", `{"Description":"the name is in the path"}`, 200, "")
}

func TestParamsKeepTheirKeysAndNumbers(t *testing.T) {
	m := readyMember(t)
	m.want(t, "POST", "/api/v3/profiles", sent, 201, "")
	const params = "/api/v3/profiles/p1/params"
	m.want(t, "GET", params+"/rackn/test-value", "", 200, "null")
	m.want(t, "POST", params+"/rackn/test-value", `{"n":12345678901234567890}`, 200, `{"n":12345678901234567890}`)
	m.want(t, "GET", params+"/rackn/test-value", "", 200, `{"n":12345678901234567890}`)
	m.want(t, "GET", params+"/rackn%2Ftest-value", "", 200, `{"n":12345678901234567890}`)
	m.want(t, "GET", params, "", 200, `{"a/b":1,"rackn/test-value":{"n":12345678901234567890}}`)
	m.want(t, "DELETE", params+"/a/b", "", 200, "1")
	m.want(t, "DELETE", params+"/a/b", "", 404, "")
	m.want(t, "POST", params, `{"x":null,"y":"z"}`, 200, `{"x":null,"y":"z"}`)
	m.want(t, "GET", params, "", 200, `{"x":null,"y":"z"}`)
	m.want(t, "GET", "/api/v3/profiles/p1", "", 200, strings.Replace(answered, `{"a/b":1}`, `{"x":null,"y":"z"}`, 1))
	m.want(t, "POST", params+"/", `1`, 400, "")
	m.want(t, "POST", params+"/k", ``, 400, "")
	for _, method := range []string{"GET", "POST", "DELETE"} {
		m.want(t, method, "/api/v3/profiles/p2/params/k", "1", 404, "")
	}
	m.want(t, "GET", "/api/v3/profiles/p2/params", "", 404, "")
	m.want(t, "POST", "/api/v3/profiles/p2/params", "{}", 404, "")
}

func TestHEADCountsAndTags(t *testing.T) {
	m := readyMember(t)
	m.want(t, "POST", "/api/v3/profiles", sent, 201, "")
	w := m.do("HEAD", "/api/v3/profiles", "")
	if got := w.Header().Get("X-DRP-LIST-FILTER-COUNT"); got != "1" || w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("%d, count %q, body %q", w.Code, got, w.Body)
	}
	tag := m.do("HEAD", "/api/v3/profiles/p1", "").Header().Get("ETag")
	if same := m.do("GET", "/api/v3/profiles/p1", "").Header().Get("ETag"); tag == "" || same != tag {
		t.Errorf("HEAD says %q, GET %q", tag, same)
	}
	if w := m.do("GET", "/api/v3/profiles/p1", "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("unchanged: %d %s", w.Code, w.Body)
	}
	m.want(t, "POST", "/api/v3/profiles/p1/params/k", "1", 200, "")
	if w := m.do("GET", "/api/v3/profiles/p1", "", "If-None-Match", tag); w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("changed: %d %s", w.Code, w.Header().Get("ETag"))
	}
	if w := m.do("HEAD", "/api/v3/profiles/p2", ""); w.Code != 404 || w.Header().Get("ETag") != "" {
		t.Errorf("none: %d", w.Code)
	}
}

func TestTheTrackingProfileIsShownAndNotChanged(t *testing.T) {
	m := readyMember(t)
	const tracking = "/api/v3/profiles/" + model.TrackingProfile
	m.want(t, "GET", tracking, "", 404, "")
	m.want(t, "GET", "/api/v3/profiles", "", 200, "[]")
	m.upgrader.profile = &model.Profile{Name: model.TrackingProfile, ReadOnly: true, Params: map[string]any{"status": "staged"}}
	must(t, m.cluster, store.OpProbe, store.Probe{})
	status := m.want(t, "GET", "/api/v3/system/upgrade/status", "", 200, "").Body.String()
	if got := m.want(t, "GET", tracking, "", 200, "").Body.String(); got != status {
		t.Errorf("the profile is %s, the status %s", got, status)
	}
	m.want(t, "GET", tracking+"/params", "", 200, `{"status":"staged"}`)
	m.want(t, "GET", tracking+"/params/status", "", 200, `"staged"`)
	m.want(t, "GET", tracking+"/params/working-node", "", 200, `null`)
	if list := m.want(t, "GET", "/api/v3/profiles", "", 200, "").Body.String(); !strings.Contains(list, `"status":"staged"`) {
		t.Errorf("the list has it not: %s", list)
	}
	for _, write := range []string{"PUT " + tracking, "DELETE " + tracking, "POST " + tracking + "/params",
		"POST " + tracking + "/params/status", "DELETE " + tracking + "/params/status", "POST /api/v3/profiles"} {
		method, path, _ := strings.Cut(write, " ")
		m.want(t, method, path, `{"Name":"`+model.TrackingProfile+`"}`, 403, "")
	}
	m.want(t, "GET", tracking+"/params", "", 200, `{"status":"staged"}`)
}

package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func (m *member) acts(t *testing.T, query string) (acts []model.Act) {
	t.Helper()
	if err := json.Unmarshal(m.want(t, "GET", "/api/v3/audit"+query, "", 200, "").Body.Bytes(), &acts); err != nil {
		t.Fatal(err)
	}
	return acts
}

func TestWhatPeopleChangeIsInTheAuditTrail(t *testing.T) {
	m := readyMember(t)
	m.want(t, "GET", "/api/v3/audit", "", 200, "[]")
	m.want(t, "POST", "/api/v3/profiles", `{"Name":"web"}`, 201, "")
	m.want(t, "POST", "/api/v3/profiles", `{"Name":"web"}`, 409, "") // changes nothing
	m.want(t, "POST", "/api/v3/profiles/web/params/key", `"hunter2"`, 200, "")
	m.want(t, "GET", "/api/v3/profiles/web/params/key", "", 200, "")
	m.want(t, "DELETE", "/api/v3/profiles/web/params/key", "", 200, "")
	m.want(t, "GET", "/api/v3/users/admin/token?ttl=60", "", 200, "")
	m.want(t, "DELETE", "/api/v3/profiles/web", "", 200, "")

	acts := m.acts(t, "")

	var said []string
	for i, a := range acts {
		if a.Actor != (model.Actor{By: "admin", From: "192.0.2.1", Through: "n1"}) || a.At == "" {
			t.Errorf("%+v", a)
		}
		if i > 0 && a.Index >= acts[i-1].Index {
			t.Errorf("%d comes after %d", a.Index, acts[i-1].Index)
		}
		what, _, _ := strings.Cut(a.What, ", good until")
		said = append(said, what)
	}
	want := []string{"deleted profile web", "got a token for admin", "removed param key of profile web", "set param key of profile web", "created profile web"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(fmt.Sprint(acts), "hunter2") {
		t.Error("the trail has the value of a param")
	}
}

func TestTheAuditTrailIsReadInPages(t *testing.T) {
	m := readyMember(t)
	for i := range 5 {
		m.want(t, "POST", "/api/v3/profiles", fmt.Sprintf(`{"Name":"p%d"}`, i), 201, "")
	}
	all := m.acts(t, "")
	page := m.acts(t, "?limit=2")
	page = append(page, m.acts(t, fmt.Sprintf("?limit=3&before=%d", page[1].Index))...)
	if diff := cmp.Diff(all, page); diff != "" || len(all) != 5 {
		t.Errorf("%d acts\n%s", len(all), diff)
	}
	for query, says := range map[string]string{
		"limit=0": "from 1 to 1000", "limit=1001": "from 1 to 1000", "limit=x": "from 1 to 1000", "before=0": "the index of an act", "before=-1": "the index of an act",
	} {
		if w := m.want(t, "GET", "/api/v3/audit?"+query, "", 400, ""); !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %s", query, w.Body)
		}
	}
}

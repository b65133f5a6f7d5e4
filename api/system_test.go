package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

func TestStageAnswersWhetherTheArchiveIsNew(t *testing.T) {
	m := readyMember(t)
	const stage = "/api/v3/system/upgrade/stage"
	m.upgrader.came = upgrader.NewlyStaged
	m.want(t, "POST", stage, "bytes", 201, `{"Path":"sha256:00","Size":5}`)
	if string(m.upgrader.got) != "bytes" || m.upgrader.by != "admin" {
		t.Errorf("got %q by %q", m.upgrader.got, m.upgrader.by)
	}
	m.upgrader.came = upgrader.AlreadyStaged
	m.want(t, "POST", stage, "bytes", 200, "")
	m.upgrader.err = &model.Problem{Kind: model.Refused, Messages: []string{"n2: too small", "n3: no binary"}}
	m.want(t, "POST", stage, "bytes", 422, `{"Model":"system","Key":"upgrade/stage","Type":"ValidationError","Messages":["n2: too small","n3: no binary"],"Code":422}`)
}

func TestUnstageSaysWhetherAStepEndsFirst(t *testing.T) {
	m := readyMember(t)
	m.want(t, "DELETE", "/api/v3/system/upgrade/stage", "", 200, `{}`)
	m.upgrader.pending = true
	m.want(t, "DELETE", "/api/v3/system/upgrade/stage", "", 202, `{}`)
}

func TestRunHandsItsBodyOnAndAnswersTheState(t *testing.T) {
	m := readyMember(t)
	m.upgrader.profile = &model.Profile{Name: model.TrackingProfile, Params: map[string]any{"status": "working"}}
	w := m.want(t, "POST", "/api/v3/system/upgrade/run", `{"deadline":"1h"}`, 202, "")
	if !strings.Contains(w.Body.String(), `"status":"working"`) || string(m.upgrader.got) != `{"deadline":"1h"}` {
		t.Errorf("got %q, answered %s", m.upgrader.got, w.Body)
	}
	m.want(t, "POST", "/api/v3/system/upgrade/run", "", 202, "")
}

func TestExecSaysHowTheMemberStands(t *testing.T) {
	m := readyMember(t)
	const exec = "/api/v3/system/upgrade/exec"
	w := m.do("POST", exec, "")
	if w.Code != 204 || w.Body.Len() > 0 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("already there: %d %q", w.Code, w.Body)
	}
	m.upgrader.exec = upgrader.ItsTurn
	m.want(t, "POST", exec, "", 202, `{}`)
	m.upgrader.err = model.Problemf(model.Conflict, "it is the turn of n2")
	m.want(t, "POST", exec, "", 409, "")
}

func TestTheStatusIsRenderedOncePerChange(t *testing.T) {
	m := readyMember(t)
	m.upgrader.profile = &model.Profile{Params: map[string]any{"status": "staged"}}
	for range 5 {
		m.want(t, "GET", "/api/v3/system/upgrade/status", "", 200, "")
	}
	if m.upgrader.asked != 1 {
		t.Errorf("rendered %d times", m.upgrader.asked)
	}
	m.upgrader.profile = &model.Profile{Params: map[string]any{"status": "working"}}
	must(t, m.cluster, store.OpProbe, store.Probe{})
	if got := m.want(t, "GET", "/api/v3/system/upgrade/status", "", 200, "").Body.String(); !strings.Contains(got, "working") {
		t.Errorf("an old state: %s", got)
	}
	m.upgrader.profile = nil
	must(t, m.cluster, store.OpProbe, store.Probe{})
	m.want(t, "GET", "/api/v3/system/upgrade/status", "", 404, "")
}

func TestTheClusterIsAskedForWhatIsItsOwn(t *testing.T) {
	m := readyMember(t)
	const c = "/api/v3/system/consensus/"
	m.want(t, "GET", c+"id", "", 200, `"m1"`)
	m.want(t, "GET", c+"leader", "", 200, `"m1"`)
	m.want(t, "GET", c+"active", "", 200, `"m1"`)
	m.want(t, "POST", c+"tokens", "", 201, `{"Token":"print.secret","Expires":"1970-01-01T00:00:00Z"}`)
	m.want(t, "POST", c+"tokens", `{"ttl":"2h"}`, 201, `{"Token":"print.secret","Expires":"1970-01-01T02:00:00Z"}`)
	m.want(t, "POST", c+"tokens", `{"ttl":"-2h"}`, 400, "")
	m.want(t, "POST", c+"tokens", `{"ttl":"soon"}`, 400, "")
	w := m.want(t, "POST", c+"tokens", `{"TLL":"2h"}`, 400, "")
	if !strings.Contains(w.Body.String(), "TLL") {
		t.Errorf("the unknown field is not named: %s", w.Body)
	}
	m.want(t, "POST", c+"transfer", `{"to":"n2"}`, 202, `{}`)
	m.want(t, "POST", c+"transfer", ``, 202, `{}`)
	m.want(t, "DELETE", c+"node/n3", "", 200, `{}`)
	m.basic = "" // the join token is the login
	m.want(t, "POST", c+"enroll", `{"Token":"tk","ID":"m4"}`, 200, `{"CA":"","Certificate":"","ClusterID":"c1","Peers":[]}`)
	want := []string{"join token for 0s", "join token for 2h0m0s", "hand over to n2", "hand over to ", "remove n3", "enrol m4 with tk"}
	if diff := cmp.Diff(want, m.cluster.asked); diff != "" {
		t.Errorf("asked:\n%s", diff)
	}
}

func TestPeersAreAList(t *testing.T) {
	m := readyMember(t)
	var peers []model.Peer
	if err := json.Unmarshal(m.want(t, "GET", "/api/v3/system/consensus/peers", "", 200, "").Body.Bytes(), &peers); err != nil || len(peers) != 1 {
		t.Errorf("%v, %v", peers, err)
	}
}

// The fields are those that a client of Digital Rebar was seen to accept; it
// refuses any other.
func TestTheStateHasDigitalRebarsFieldsAndNoOther(t *testing.T) {
	m := readyMember(t)
	must(t, m.cluster, store.OpMemberReport, store.MemberReport{Member: model.Member{ID: "m1", API: "https://127.0.0.1:8092"}})
	must(t, m.cluster, store.OpMemberReport, store.MemberReport{Member: model.Member{ID: "m2"}})
	want := map[string]any{"ActiveUri": "https://127.0.0.1:8092", "ApiUrl": "https://127.0.0.1:8092", "ConsensusAddr": "127.0.0.1:8093",
		"ConsensusEnabled": true, "ConsensusID": "m1", "ConsensusJoin": "https://127.0.0.1:8092", "Enabled": true, "HaID": "c1",
		"LoadBalanced": false, "Observer": false, "Passive": false, "Roots": []any{}, "ServerHostname": "n1", "Token": "",
		"Valid": true, "VirtAddr": "", "VirtInterface": "", "VirtInterfaceScript": ""}
	var got map[string]any
	if err := json.Unmarshal(m.want(t, "GET", "/api/v3/system/consensus/state", "", 200, "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestInfoDescribesTheMember(t *testing.T) {
	m := readyMember(t)
	want := model.Info{Arch: "amd64", OS: "linux", Version: "1.0.0", ID: "m1", LocalID: "m1", HaID: "c1", ServerHostname: "n1",
		Address: "127.0.0.1", APIPort: 8092, HaIsActive: true, HaStatus: "Up", HaActiveID: "m1",
		Features: features(), Errors: []string{}, ClusterVersion: "1.0.0"}
	var got model.Info
	if err := json.Unmarshal(m.want(t, "GET", "/api/v3/info", "", 200, "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	m.cluster.noLead = true
	m.want(t, "GET", "/api/v3/system/consensus/leader", "", 503, "")
	if w := m.want(t, "GET", "/api/v3/info", "", 200, ""); !strings.Contains(w.Body.String(), `"ha_status":"Connecting"`) {
		t.Errorf("without a leader: %s", w.Body)
	}
}

func TestAWriteWithoutALeaderSaysWhenToTryAgain(t *testing.T) {
	m := readyMember(t)
	m.cluster.refuse = model.Problemf(model.Unavailable, "no member leads")
	w := m.want(t, "POST", "/api/v3/profiles", sent, 503, "")
	if w.Header().Get("Retry-After") == "" {
		t.Errorf("no Retry-After")
	}
	m.cluster.refuse = errors.New("the inside")
	m.want(t, "POST", "/api/v3/profiles", sent, 500, "")
}

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader"
)

var update = flag.Bool("update", false, "write the golden files")

// errPast is what members answer who are asked after the rules have been held.
var errPast = errors.New("past the rules")

// silent is a cluster whose members answer nothing.
type silent struct {
	upgrader.Cluster
	alone *alone
}

func (silent) Handle(string, func(context.Context, json.RawMessage) (any, error)) {}
func (silent) HandleStream(string, func(context.Context, json.RawMessage) (io.ReadCloser, int64, error)) {
}
func (silent) Call(context.Context, string, string, any, any) error { return errPast }
func (s silent) Propose(ctx context.Context, c store.Command) (store.Answer, error) {
	return s.alone.Propose(ctx, c)
}
func (s silent) ReadIndex(ctx context.Context) error { return s.alone.ReadIndex(ctx) }

// ruledMember is a ready member with a real upgrader, of a cluster at a version
// and a protocol level.
func ruledMember(t *testing.T, version string, level int) *member {
	m := newMemberOf(t, model.Cluster{ID: "c1", Version: version, Level: level})
	d := m.deps()
	d.Upgrader = upgrader.New(upgrader.Config{Store: m.cluster.store, Cluster: silent{alone: m.cluster}, Self: d.Self, Log: newQuiet(),
		Trust: staging.Trust{AllowUnsigned: true}, Limits: staging.DefaultLimits()})
	m.SetReady(d)
	m.report(t, version)
	return m
}

// report has the member say that it runs version.
func (m *member) report(t *testing.T, version string) {
	t.Helper()
	must(t, m.cluster, store.OpMemberReport, store.MemberReport{Member: model.Member{ID: "m1", Name: "n1", Raft: "127.0.0.1:8093",
		Version: version, Platform: "linux/amd64", Image: "sha256:" + version}})
}

// packageOf is an unsigned package of a version with further fields in its manifest.
func packageOf(t *testing.T, version, rules string) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "theseusd"), []byte("daemon "+version), 0o755); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	r := staging.Recipe{Version: version, Bins: map[string]string{"linux/amd64": bin}, Extra: []byte(rules)}
	if err := staging.Build(&archive, r); err != nil {
		t.Fatal(err)
	}
	return archive.String()
}

// The golden file has a line for each refusal, and says so of what is let through.
func TestTheVersionTableIsHeldAtTheStage(t *testing.T) {
	const quay = "reachable: {from: 2.9.5, skips: [3.3, 3.4]}"
	m := ruledMember(t, "1.0.0", 1)
	var got strings.Builder
	for _, row := range []struct{ what, from, to, rules string }{
		{"M1 patch upgrade", "2.6.0", "2.6.1", ""},
		{"M2 skip patch version", "2.6.0", "2.6.2", ""},
		{"M3 patch downgrade", "2.6.2", "2.6.1", ""},
		{"M4 minor upgrade", "2.6.7", "2.7.4", ""},
		{"M5 skip minor version", "2.6.7", "2.8.0", ""},
		{"M6 minor downgrade", "2.7.0", "2.6.9", ""},
		{"M7 skip major version", "1.4.2", "3.0.0", ""},
		{"M8 major downgrade", "3.0.0", "2.9.9", ""},
		{"M9 major upgrade", "1.4.2", "2.0.0", ""},
		{"M10 major upgrade past the earliest minor version", "1.4.2", "2.5.2", ""},
		{"the same version, another build", "2.6.0", "2.6.0", ""},
		{"a member whose version cannot be read", "2.6", "2.6.1", ""},
		{"barrier: far below", "2.6.1", "3.0.5", "reachable: {from: 2.9.5}"},
		{"barrier: one hop below", "2.8.0", "3.0.5", "reachable: {from: 2.9.5}"},
		{"barrier: a patch below", "2.9.4", "3.0.5", "reachable: {from: 2.9.5}"},
		{"barrier: at it", "2.9.5", "3.0.5", "reachable: {from: 2.9.5}"},
		{"barrier: past it", "2.9.9", "3.0.5", "reachable: {from: 2.9.5}"},
		{"exception: from 3.3", "3.3.4", "3.6.0", quay},
		{"exception: from 3.4", "3.4.1", "3.6.0", quay},
		{"exception: not from 3.2", "3.2.2", "3.6.0", quay},
		{"exception: not needed", "3.5.0", "3.6.0", quay},
		{"exception: below the barrier", "2.9.4", "3.6.0", quay},
	} {
		m.report(t, row.from)
		w := m.do("POST", stagePath, packageOf(t, row.to, row.rules))
		var e model.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || len(e.Messages) != 1 {
			t.Fatalf("%s: %v: %s", row.what, err, w.Body)
		}
		said := fmt.Sprintf("%d %s", w.Code, e.Messages[0])
		if strings.Contains(said, errPast.Error()) {
			said = "may go"
		}
		fmt.Fprintf(&got, "%s: %s to %s: %s\n", row.what, row.from, row.to, said)
	}
	goldenFile(t, "testdata/rules.txt", got.String())
}

func goldenFile(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (run with -update and look):\n%s", path, diff)
	}
}

func TestAPackageWithRulesWaitsForTheProtocolLevel(t *testing.T) {
	m := ruledMember(t, "1.0.0", 0)
	for rules, says := range map[string]string{
		"":                             errPast.Error(),
		"reachable: {from: 1.0.0}":     "members of this cluster may be too old to read that",
		"requires: {settings: {a: b}}": "members of this cluster may be too old to read that",
	} {
		w := m.want(t, "POST", stagePath, packageOf(t, "1.1.0", rules), 422, "")
		if !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q: %s", rules, w.Body)
		}
	}
}

// staged puts an upgrade on record.
func (m *member) staged(t *testing.T, u model.Upgrade) {
	t.Helper()
	must(t, m.cluster, store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: u.ID, Archive: u.Archive}})
	must(t, m.cluster, store.OpStageCommit, store.StageCommit{ID: u.ID, Upgrade: u})
}

const planPath = "/api/v3/system/upgrade/plan"

func TestThePlanOverWhatIsNamed(t *testing.T) {
	m := ruledMember(t, "3.0.5", 1)
	w := m.want(t, "GET", planPath+"?to=3.4.1&known=3.1.3,3.2.2&known=3.3.4,%20v3.4.1", "", 200, "")
	goldenFile(t, "testdata/plan-named.json", w.Body.String())
	w = m.want(t, "GET", planPath+"?to=v3.4.1", "", 200, "")
	goldenFile(t, "testdata/plan-nothing-known.json", w.Body.String())
}

func TestThePlanToWhatIsStaged(t *testing.T) {
	m := ruledMember(t, "3.2.2", 1)
	m.want(t, "GET", planPath, "", 404, "")
	m.staged(t, model.Upgrade{ID: "u", Phase: model.Staged, Archive: model.Archive{Digest: "ab", Version: "3.6.0",
		Rules: &model.Rules{Lowest: "2.9.5", Skips: []string{"3.3", "3.4"}}}})
	w := m.want(t, "GET", planPath+"?known=3.3.4,3.4.1", "", 200, "")
	goldenFile(t, "testdata/plan-staged.json", w.Body.String())
}

func TestAPlanThatCannotBeMadeSaysWhy(t *testing.T) {
	m := ruledMember(t, "3.0.5", 1)
	for query, says := range map[string]string{
		"?to=3.4":                   `400 to: "3.4" is not a semantic version such as 1.2.3`,
		"?to=3.4.1&known=3.1.3,new": `400 known: "new" is not a semantic version such as 1.2.3`,
		"?to=3.4.1" + strings.Repeat("&known=3.1.3", 501): "400 known: 501 versions, more than 500: name the latest of each release line",
		"":            "404 nothing is staged",
		"?to=":        "404 nothing is staged",
		"?to=3.0.5":   "422 the cluster is at 3.0.5 already: there is nothing to plan",
		"?to=3.0.4":   "422 plan: 3.0.5 → 3.0.4 goes down, which is never an upgrade",
		"?to=3.999.0": "422 plan: 3.0.5 → 3.999.0 leads over more than 100 release lines",
	} {
		w := m.do("GET", planPath+query, "")
		var e model.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || len(e.Messages) == 0 {
			t.Fatalf("%s: %v: %s", query, err, w.Body)
		}
		if got := fmt.Sprintf("%d %s", w.Code, e.Messages[0]); !strings.HasPrefix(got, says) {
			t.Errorf("%.40s: got %s, want %s", query, got, says)
		}
	}
}

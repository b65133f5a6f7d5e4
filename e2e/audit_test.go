package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// trail is the audit trail as a member has it, up to date.
func trail(t *testing.T, c *Cluster, m *Member) (acts []model.Act) {
	t.Helper()
	check(t, c.Get(within(t), m, "/api/v3/audit?limit=1000&consistent=true", &acts))
	return acts
}

// actOf finds the act with these words in it.
func actOf(acts []model.Act, words string) (a model.Act, some bool) {
	i := slices.IndexFunc(acts, func(a model.Act) bool { return strings.Contains(a.What, words) })
	if i < 0 {
		return a, false
	}
	return acts[i], true
}

// Every act comes with who, from where and through whom, on every member the same,
// whoever led, and a member that is killed has it again.
func TestTheAuditTrailIsTheSameOnEveryMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	follower := followers(t, c)[0]
	check(t, c.CreateProfile(ctx, follower, "web"))
	a, err := c.Do(ctx, follower, Text("POST", "/api/v3/profiles/web/params/password", "", `"hunter2"`))
	answered(t, a, err, http.StatusOK)
	leader := must[*Member](t)(c.Leader(ctx, follower))
	must[string](t)(c.CLI(ctx, follower, "system", "ha", "transfer", follower.Name))
	check(t, leader.Kill(ctx))
	must[string](t)(c.CLI(ctx, follower, "system", "ha", "join-token"))
	check(t, leader.Start())
	check(t, leader.AwaitReady(ctx))
	last := followers(t, c)[0]
	must[string](t)(c.CLI(ctx, follower, "system", "ha", "remove", last.Name))

	want := trail(t, c, follower)

	for _, m := range c.up(last) {
		if diff := cmp.Diff(want, trail(t, c, m)); diff != "" {
			t.Errorf("%s has another trail: %s", m.Name, diff)
		}
	}
	for _, words := range []string{"created profile web", "set param password of profile web", "asked for leadership to go to ", "made a join token", "asked for member " + last.Name} {
		a, some := actOf(want, words)
		if !some || a.By != "admin" || a.Through != follower.Name || a.From == "" || a.At == "" {
			t.Errorf("%q: %+v", words, a)
		}
	}
	if a, some := actOf(want, "enrolled n2 "); !some || a.By != "a join token" {
		t.Errorf("a joiner's: %+v", a)
	}
	raw := must[[]byte](t)(json.Marshal(want))
	table := must[string](t)(c.CLI(ctx, follower, "audit", "--limit", "3", "-o", "table"))
	if strings.Contains(string(raw), "hunter2") || !strings.Contains(table, "asked for member "+last.Name) || strings.Count(table, "\n") != 4 {
		t.Errorf("the CLI shows %s\nof %s", table, raw)
	}
}

package e2e

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A backup of three members at work is restored into a cluster of three: what was
// acknowledged before it began is in it. One of the same when nobody writes is
// restored into a cluster of one: all of it is the same.
func TestABackupIsRestoredIntoANewClusterOfAnySize(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	c := newCluster(t, nil)
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	check(t, c.CreateProfile(ctx, c.Members[1], "before"))
	file := filepath.Join(t.TempDir(), "backup")
	must[string](t)(c.CLI(ctx, c.Members[2], "backup", "create", "--to", file))
	load.Stop()
	if said := must[string](t)(c.CLI(ctx, c.Members[0], "backup", "list")); !strings.Contains(said, "manual-") {
		t.Errorf("it is not in the list of another member: %s", said)
	}
	must[string](t)(c.CLI(ctx, c.Members[0], "backup", "verify", file))
	if said, err := c.CLI(ctx, c.Members[0], "backup", "restore", "--yes", file); err == nil || !strings.Contains(said+err.Error(), "in use") {
		t.Errorf("restored into a cluster in use: %s, %v", said, err)
	}
	quiet := filepath.Join(t.TempDir(), "quiet")
	must[string](t)(c.CLI(ctx, c.Members[1], "backup", "create", "--to", quiet))
	source := profilesOf(t, c, c.Members[0])
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+must[string](t)(c.Members[0].Password())))

	for size, from := range map[int]string{1: quiet, 3: file} {
		var first map[string]any
		if from == quiet {
			first = source
		}
		fresh := newCluster(t, func(p *Plan) { p.Size = size })
		must[string](t)(fresh.CLI(ctx, fresh.Members[0], "backup", "restore", "--yes", from))
		if a, err := fresh.Do(ctx, fresh.Members[0], get("/api/v3/profiles")); err != nil || a.Status != 401 {
			t.Errorf("a login of before goes on: %d, %v", a.Status, err)
		}
		fresh.Auth = auth
		for _, m := range fresh.Members {
			got := profilesOf(t, fresh, m)
			if _, there := got["before"]; !there {
				t.Errorf("what was acknowledged before is not in %s of %d", m.Name, size)
			}
			if first == nil {
				first = got
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("%s of %d has other profiles: %s", m.Name, size, diff)
			}
		}
	}
}

// profilesOf are the profiles of the cluster, read consistently through m.
func profilesOf(t *testing.T, c *Cluster, m *Member) map[string]any {
	t.Helper()
	var all []map[string]any
	check(t, c.Get(within(t), m, "/api/v3/profiles?consistent=true", &all))
	byName := map[string]any{}
	for _, p := range all {
		delete(p, "Endpoint")
		byName[p["Name"].(string)] = p
	}
	return byName
}

package e2e

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// verified has the cluster verify itself through each member, as an operator does
// who only knows the address of one.
func verified(t *testing.T, c *Cluster, version string) {
	t.Helper()
	ctx := within(t)
	for _, m := range c.Members {
		said, err := c.CLI(ctx, c.Members[0], "system", "upgrade", "verify", "--via", m.Name, "-o", "table")
		if err != nil {
			t.Errorf("verify through %s: %v\n%s", m.Name, err, said)
		}
	}
	var r model.VerifyReport
	check(t, c.Get(ctx, c.Members[0], "/api/v3/system/upgrade/verify", &r))
	if !r.OK || r.Version != version || r.Cluster != version || !strings.HasPrefix(r.Archive, "sha256:") || len(r.Members) != len(c.Members) {
		t.Errorf("verified %+v", r)
	}
	for _, m := range r.Members {
		if !m.Wrote || !m.Read || m.Version != version {
			t.Errorf("verified %+v", m)
		}
	}
}

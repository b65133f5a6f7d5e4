package e2e

import (
	"fmt"
	"testing"
)

// One voter, or one of two, takes the quorum with it when it restarts: the
// upgrade goes on all the same, by the records on its own disk.
func TestAClusterWithoutASpareVoterIsUpgraded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2} { // members
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			c := newCluster(t, func(p *Plan) { p.Size = size })
			ctx := within(t)
			before := must[Snapshot](t)(c.Look(ctx))
			check(t, c.Staged(ctx, c.Members[0], archive(t, v110)))
			check(t, c.Run(ctx, c.Members[0], quick))
			if end := followed(t, c); end.Status != "finished" {
				t.Errorf("the upgrade ended %+v", end)
			}
			runs(t, c, before, v110, samePID)
		})
	}
}

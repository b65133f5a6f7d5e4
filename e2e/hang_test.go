package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// inProbation waits for a member to be in probation and answers it.
func inProbation(t *testing.T, c *Cluster) *Member {
	t.Helper()
	ctx := within(t)
	var out *Member
	check(t, Until(ctx, "a member in probation", func() (bool, error) {
		s, err := c.Status(ctx, c.Members[0])
		for _, n := range s.Nodes {
			if n.Step == string(model.Probation) {
				out = c.Named(n.Name)
			}
		}
		return out != nil, err
	}))
	return out
}

// A process that is stopped cannot be told from a build that hangs: the build is
// put back and remembered, and force says that it was not to blame.
func TestAGoodBuildThatIsStoppedInProbationIsPutBackAndCanBeForced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Prepare = setcap(caps) })
	ctx := within(t)
	before, had := must[Snapshot](t)(c.Look(ctx)), capabilities(t, c)
	m := followers(t, c)[0]
	load := must[*Load](t)(c.StartWriters(ctx, lookEvery))
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, `{"probation":"20s"}`))
	victim := inProbation(t, c)
	p, _ := victim.Daemon()
	check(t, syscall.Kill(p.PID, syscall.SIGSTOP))

	end := followed(t, c)

	putBack(t, c, end, "stopped giving signs of life")
	load.Stop()
	if err := load.Lost(ctx, victim); err != nil {
		t.Error(err)
	}
	runs(t, c, before, v100, anyPID)
	if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
	if !strings.Contains(end.Final, victim.Name) {
		t.Errorf("the end is %q, and says nothing of %s", end.Final, victim.Name)
	}
	a := must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", quick)))
	refused(t, a, http.StatusConflict, "failed before")
	check(t, c.Run(ctx, m, `{"probation":"1s","force":true}`))
	if end := followed(t, c); end.Status != "finished" {
		t.Errorf("forced, the upgrade ended %+v", end)
	}
}

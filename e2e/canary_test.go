package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// A build that lives and does not work is stopped at the first member.
func TestACanaryThatDoesNotWorkStopsTheRollout(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{
		"shadow": "its writes are lost",
		"schema": "/api/v3/info.cluster_version is gone",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, nil)
			before := must[Snapshot](t)(c.Look(within(t)))

			end := upgraded(t, c, Build{Version: "1.1.0", Fault: fault}, `{"probation":"0s","onFailure":"rollback"}`)

			if end.Status != "failed" || end.Back != "done" || !strings.Contains(strings.Join(end.Transcript, "\n"), want) {
				t.Errorf("it ended %+v", end)
			}
			if turns(end.Transcript)[0] != turns(end.Transcript)[1] || len(turns(end.Transcript)) != 2 {
				t.Errorf("others went too: %v", turns(end.Transcript))
			}
			runs(t, c, before, v100, samePID)
		})
	}
}

// A halt halts the rollout; the member on which the new version does not work goes
// back by itself, as any that failed.
func TestF20AMemberThatDoesNotWorkGoesBackByItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := c.Members[0]
	check(t, c.Staged(ctx, m, archive(t, Build{Version: "1.1.0", Fault: "shadow"})))
	check(t, c.Run(ctx, m, `{"probation":"0s"}`))

	end := until(t, c, m, "its first member to be back", func(s Status) bool { return s.at("reverted") == 1 })

	if order := turns(end.Transcript); end.Status != "failed" || end.Back != "" || len(order) != 2 || order[0] != order[1] || !strings.Contains(end.Final, "its writes are lost") {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v100, samePID)
	for _, through := range c.Members {
		check(t, c.CreateProfile(ctx, through, "kept-by-"+through.Name))
		a, err := c.Do(ctx, m, get("/api/v3/profiles/kept-by-"+through.Name+"?consistent=true"))
		answered(t, a, err, http.StatusOK)
	}
}

// What the new version wrote cannot be read by the old one: the first member
// tells, before another one goes, and going back is not even begun.
func TestAReleaseWithoutAWayBackStopsAtTheFirstMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	load := must[*Load](t)(c.StartLoad(within(t), lookEvery))

	end := upgraded(t, c, Build{Version: "1.1.0", Fault: "oneway"}, `{"probation":"0s","onFailure":"rollback"}`)

	load.Stop()
	const want = "the way back to 1.0.0 is not there"
	if end.Status != "failed" || end.Back != "failed" || !strings.Contains(end.Final, want) || len(turns(end.Transcript)) != 1 {
		t.Errorf("it ended %+v", end)
	}
	if err := load.Lost(within(t), c.Members[0]); err != nil {
		t.Error(err)
	}
}

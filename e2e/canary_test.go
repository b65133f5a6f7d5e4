package e2e

import (
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

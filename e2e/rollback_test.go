package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

const (
	pausePath    = "/api/v3/system/upgrade/pause"
	resumePath   = "/api/v3/system/upgrade/resume"
	rollbackPath = "/api/v3/system/upgrade/rollback"
)

// asked posts to path through m and wants it taken.
func asked(t *testing.T, c *Cluster, m *Member, path string) {
	t.Helper()
	a, err := c.Do(within(t), m, Request{Method: "POST", Path: path})
	answered(t, a, err, http.StatusAccepted)
}

// until waits for a status that fits.
func until(t *testing.T, c *Cluster, m *Member, what string, fits func(Status) bool) (s Status) {
	t.Helper()
	ctx := within(t)
	err := Until(ctx, what, func() (bool, error) {
		now, err := c.Status(ctx, m)
		if err == nil {
			s = now
		}
		return err == nil && fits(s), nil
	})
	if err != nil {
		t.Fatalf("%v; it was %s, waiting for %+v:\n%s", err, s.Status, s.WaitingFor, strings.Join(s.Transcript, "\n"))
	}
	return s
}

func TestAHeldUpgradeGoesBackAndForthAndLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Prepare = setcap(caps) })
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	had := capabilities(t, c)
	m := followers(t, c)[0]
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	check(t, c.Staged(ctx, m, archive(t, v110)))

	check(t, c.Run(ctx, m, `{"probation":"0s","hold":true}`))
	held := until(t, c, m, "the upgrade to be held", func(s Status) bool { return s.Status == "finished" })
	if held.Completed || held.WaitingFor == nil || !strings.Contains(held.WaitingFor.What, "hold") || !held.Proof.WayBack {
		t.Errorf("it is held as %+v", held)
	}
	runs(t, c, before, v110, samePID)
	if era := feature(t, c, m, "era"); era.Active || !strings.Contains(era.Reason, "until the upgrade to 1.1.0 is completed") {
		t.Errorf("before completion there is %+v", era)
	}
	asked(t, c, m, rollbackPath)
	back := until(t, c, m, "all to be back", func(s Status) bool { return s.Status == "failed" })

	if back.Final != "rolled back to 1.0.0" || back.Back != model.BackDone {
		t.Errorf("it went back as %+v", back)
	}
	runs(t, c, before, v100, samePID)
	if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
		t.Errorf("capabilities are not as before: %s", diff)
	}
	leader := must[*Member](t)(c.Leader(ctx, m))
	if order := turns(back.Transcript); len(order) != 6 || leader.Name == order[5] {
		t.Errorf("the members went in the order %v, and %s leads", order, leader.Name)
	}

	check(t, c.Run(ctx, m, `{"probation":"0s"}`))
	again := followed(t, c)
	tallies := load.Stop()
	if again.Status != "finished" || !again.Completed {
		t.Errorf("forward again it ended %+v", again)
	}
	runs(t, c, before, v110, samePID)
	if era := feature(t, c, m, "era"); !era.Active {
		t.Errorf("after completion there is %+v", era)
	}
	if tallies.Failed() != 0 || tallies.Requests() == 0 {
		t.Errorf("%d of %d requests failed: %v", tallies.Failed(), tallies.Requests(), tallies.Failures())
	}
	if err := load.Lost(ctx, m); err != nil {
		t.Error(err)
	}
	a := must[Answer](t)(c.Do(ctx, m, Request{Method: "POST", Path: rollbackPath}))
	refused(t, a, http.StatusConflict, "completed", "closed")
}

func TestAMemberThatFailsTakesTheRolloutBackIfThatIsWanted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	leader := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	check(t, c.Staged(ctx, leader, archive(t, v110)))
	check(t, c.Run(ctx, leader, `{"probation":"1s","deadline":"10s","onFailure":"rollback"}`))
	order := until(t, c, leader, "the first to be done", func(s Status) bool { return len(turns(s.Transcript)) == 1 && s.at("done") == 1 })
	second := others(c, leader, order)
	p, _ := second.Daemon()
	check(t, syscall.Kill(p.PID, syscall.SIGSTOP))
	until(t, c, leader, "the second to fail and the first to go back", func(s Status) bool {
		return s.Working == "" && len(turns(s.Transcript)) >= 1 && s.has("going back to 1.0.0")
	})
	check(t, syscall.Kill(p.PID, syscall.SIGCONT))

	end := until(t, c, leader, "all to be back", func(s Status) bool { return s.Status == "failed" })

	if end.Back != model.BackDone {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v100, anyPID)
}

// others is the member that is neither m nor through in s.
func others(c *Cluster, m *Member, s Status) *Member {
	for _, n := range s.Nodes {
		if n.Name != m.Name && n.Step != "done" {
			return c.Named(n.Name)
		}
	}
	return nil
}

func TestAPausedUpgradeGoesOnWithoutRestartingWhoIsDone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))

	check(t, c.Run(ctx, m, `{"probation":"0s","holdAfter":1}`))
	held := until(t, c, m, "the upgrade to pause", func(s Status) bool { return s.Paused != nil })
	if held.at("done") != 1 || held.WaitingFor == nil || !slices.Contains(held.WaitingFor.Choices, "theseus system upgrade resume") {
		t.Errorf("it paused as %+v", held)
	}
	asked(t, c, m, resumePath)
	asked(t, c, m, pausePath)
	paused := until(t, c, m, "nobody to be out", func(s Status) bool { return s.Paused != nil && s.Working == "" })
	asked(t, c, m, resumePath)
	end := followed(t, c)

	if end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
	for _, n := range paused.Nodes {
		for _, later := range end.Nodes {
			if n.ID == later.ID && n.Step == "done" && n.Attempt != later.Attempt {
				t.Errorf("%s was done, and went again", n.Name)
			}
		}
	}
	runs(t, c, before, v110, samePID)
	a := must[Answer](t)(c.Do(ctx, m, Request{Method: "POST", Path: pausePath}))
	refused(t, a, http.StatusConflict, "only one that works can be paused")
}

func TestADeadMemberNeedsADecisionAndTheQuorumIsCounted(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	dead := followers(t, c)[1]
	m := c.up(dead)[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, dead.Stop(ctx))

	run := func(body string) Answer { return must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", body))) }
	refused(t, run(""), http.StatusConflict, dead.Name, "--exclude "+dead.Name, "ha remove "+dead.Name, "--await")
	refused(t, run(`{"exclude":["`+dead.Name+`"]}`), http.StatusConflict, "1 of 3 voters would be left, and a quorum is 2", dead.Name+" is down", "--ignore quorum")
	if s := must[Status](t)(c.Status(ctx, m)); s.Status != "staged" {
		t.Errorf("a refused start changed the status to %s", s.Status)
	}
	check(t, c.Run(ctx, m, `{"probation":"0s","await":"1h"}`))
	s := until(t, c, m, "the others to be checked", func(s Status) bool {
		return strings.Count(strings.Join(s.Transcript, "\n"), "passed its trial run") == 2
	})
	if s.WaitingFor == nil || !strings.Contains(s.WaitingFor.What, dead.Name) || s.WaitingFor.Until == "" {
		t.Errorf("it waits for %+v", s.WaitingFor)
	}
	check(t, dead.Start())
	end := followed(t, c)

	if end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v110, anyPID)
}

// One voter and two lose their quorum at each restart; that is allowed (S16).
func TestS16ClustersWithoutASpareVoterGoBackToo(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(p *Plan) { p.Size = size })
			ctx := within(t)
			before := must[Snapshot](t)(c.Look(ctx))
			m := c.Members[0]
			check(t, c.CreateProfile(ctx, m, "kept"))
			check(t, c.Staged(ctx, m, archive(t, v110)))
			check(t, c.Run(ctx, m, `{"probation":"0s","hold":true}`))
			until(t, c, m, "the upgrade to be held", func(s Status) bool { return s.Status == "finished" })

			told := must[string](t)(c.CLI(ctx, m, "system", "upgrade", "rollback", "-o", "table"))
			back := must[Status](t)(c.Status(ctx, m))

			if back.Status != "failed" || back.Back != model.BackDone || !strings.Contains(told, "rolled back to 1.0.0") {
				t.Errorf("it ended %+v, and was told as %s", back, told)
			}
			runs(t, c, before, v100, samePID)
			a, err := c.Do(ctx, m, get("/api/v3/profiles/kept?consistent=true"))
			answered(t, a, err, http.StatusOK)
		})
	}
}

// feature is what m says of a feature by name.
func feature(t *testing.T, c *Cluster, m *Member, name string) model.Feature {
	t.Helper()
	var all []model.Feature
	check(t, c.Get(within(t), m, "/api/v3/features?consistent=true", &all))
	i := slices.IndexFunc(all, func(f model.Feature) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("%s is not among %+v", name, all)
	}
	return all[i]
}

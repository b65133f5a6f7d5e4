package e2e

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/theseusd/theseus/model"
)

const completePath = "/api/v3/system/upgrade/complete"

// In the background: two attempts fail, and the leader is killed in the third.
func TestABackgroundMigrationFailsTwiceLosesItsLeaderAndMovesEveryItemOnce(t *testing.T) {
	t.Parallel()
	const name = "item-form-2"
	c := newCluster(t, nil)
	ctx := within(t)
	seeded(t, c)
	later := archive(t, v120) // which may have to be built
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	check(t, c.Staged(ctx, c.Members[0], migrating(t, v110, name)))
	check(t, c.Run(ctx, c.Members[0], `{"probation":"0s","mode":"background","throttle":6000}`))
	tr := c.startTrace(ctx)
	edits, enough := c.startEditor(ctx, &tr.done)
	until(t, c, c.Members[0], "the upgrade to finish", func(s Status) bool { return s.Status == "finished" })
	m := followers(t, c)[0]
	awaitMigration(t, c, m, name, "the first failure", func(j model.Job) bool { return j.Attempts >= 1 })

	stillOpen(t, c, m, name, later)
	killed := loseLeader(t, c, name)
	m = c.up(killed)[0]
	j := awaitMigration(t, c, m, name, "the migration to be done", func(j model.Job) bool { return j.State.Over() })
	tr.stop(t)
	enough()

	triedThrice(t, c, m, j.ID)
	if r := progress(t, c, m); r.State != "done" || r.Percent != 100 || r.Done != allItems {
		t.Errorf("it says %+v", r)
	}
	if s := must[Status](t)(c.Status(ctx, m)); s.Status != "finished" || s.Completed {
		t.Errorf("without a word of anybody it is %+v", s)
	}
	if era := feature(t, c, m, "era"); era.Active {
		t.Errorf("before completion there is %+v", era)
	}
	a, err := c.Do(ctx, m, Request{Method: "POST", Path: completePath})
	answered(t, a, err, http.StatusOK)
	if era := feature(t, c, m, "era"); !era.Active {
		t.Errorf("after completion there is %+v", era)
	}
	all := movedOnce(t, c, m)
	if err := edits.lost(all); err != nil || edits.taken == 0 {
		t.Errorf("of %d edits: %v", edits.taken, err)
	}
	servedBut(t, load, killed, m)
	t.Logf("%d edits were taken, and %d met the migration", edits.taken, edits.faster)
}

// stillOpen checks what is refused and what is served while data is unmigrated.
func stillOpen(t *testing.T, c *Cluster, m *Member, name, later string) {
	t.Helper()
	ctx := within(t)
	a := must[Answer](t)(c.Do(ctx, m, Request{Method: "POST", Path: completePath}))
	refused(t, a, http.StatusConflict, name, "%", "theseus system upgrade progress")
	if era := feature(t, c, m, "era"); era.Active || !strings.Contains(era.Reason, "1.1.0") {
		t.Errorf("while data is unmigrated there is %+v", era)
	}
	check(t, c.CreateProfile(ctx, m, "written-meanwhile"))
	refused(t, must[Answer](t)(c.Stage(ctx, m, later)), http.StatusConflict, "the upgrade to 1.1.0 waits for", name, "before the next is staged")
	refused(t, must[Answer](t)(c.Unstage(ctx, m)), http.StatusConflict, "the upgrade to 1.1.0 waits for", name, "before it is cleared away")
}

// loseLeader kills the leader in the middle of the third attempt and starts it
// again.
func loseLeader(t *testing.T, c *Cluster, name string) (killed *Member) {
	t.Helper()
	ctx := within(t)
	before := awaitMigration(t, c, c.Members[0], name, "the third attempt to be half through", func(j model.Job) bool {
		return j.Attempts == 2 && j.State == model.JobRunning && j.Done >= allItems*7/10
	})
	killed = must[*Member](t)(c.Leader(ctx, c.Members[0]))
	if len(children(t, killed)) != 1 {
		t.Errorf("the leader runs %v", children(t, killed))
	}
	check(t, killed.Kill(ctx))
	childless(t, killed)
	after := awaitMigration(t, c, c.up(killed)[0], name, "another runner", func(j model.Job) bool { return j.Epoch > before.Epoch })
	if after.Attempts != 2 || after.Runner == before.Runner || after.State == model.JobRunning && after.Checkpoint == "" {
		t.Errorf("after the leader was killed the job is %+v", after)
	}
	check(t, killed.Start())
	check(t, killed.AwaitReady(ctx))
	return killed
}

// triedThrice checks that a job failed twice and no more: a lost leader is no failure.
func triedThrice(t *testing.T, c *Cluster, m *Member, id string) {
	t.Helper()
	var j model.Job
	check(t, c.Get(within(t), m, "/api/v3/jobs/"+id+"?consistent=true", &j))
	if j.State != model.JobDone || j.Attempts != 2 || j.Done != allItems || j.Total != allItems {
		t.Errorf("the job is %+v", j)
	}
	text := strings.Join(j.Log, "\n")
	for _, want := range []string{"after 30000 of 100000", "after 60000 of 100000", "goes on from checkpoint 29000/", "goes on from checkpoint 59000/"} {
		if !strings.Contains(text, want) {
			t.Errorf("its log says nothing of %q", want)
		}
	}
	t.Log(text)
}

// servedBut checks that nobody noticed anything but who talks to a member that was
// killed, and that nothing is lost.
func servedBut(t *testing.T, load *Load, killed, m *Member) {
	t.Helper()
	tallies := load.Stop()
	if tallies.Requests() == 0 {
		t.Error("there was no load")
	}
	for _, tally := range tallies {
		if tally.Failed > 0 && (killed == nil || tally.Addr != killed.API) {
			t.Errorf("%d of %d requests of %s failed: %v", tally.Failed, tally.Requests, tally.Client, tally.Failures)
		}
	}
	if err := load.Lost(within(t), m); err != nil {
		t.Error(err)
	}
}

// In mode complete nobody else writes; what is lost and fails is the same.
func TestAMigrationInModeCompleteHoldsTheWritesOfOthers(t *testing.T) {
	t.Parallel()
	const name = "item-form-2"
	c := newCluster(t, nil)
	ctx := within(t)
	seeded(t, c)
	load, held := heldLoad(t, c)
	check(t, c.Staged(ctx, c.Members[0], migrating(t, v110, name)))
	check(t, c.Run(ctx, c.Members[0], `{"probation":"0s","throttle":6000}`))
	tr := c.startTrace(ctx)
	m := c.Members[0]
	awaitMigration(t, c, m, name, "the first failure", func(j model.Job) bool { return j.Attempts >= 1 })

	writesHeld(t, c)
	if s := must[Status](t)(c.Status(ctx, m)); s.Status != "working" || s.Completed || s.WaitingFor == nil || !strings.Contains(s.WaitingFor.What, name) {
		t.Errorf("while data is migrated it is %+v, waiting for %+v", s, s.WaitingFor)
	}
	killed := loseLeader(t, c, name)
	m = c.up(killed)[0]
	j := awaitMigration(t, c, m, name, "the migration to be done", func(j model.Job) bool { return j.State.Over() })
	end := followed(t, c)
	tr.stop(t)

	triedThrice(t, c, m, j.ID)
	if end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
	if era := feature(t, c, m, "era"); !era.Active {
		t.Errorf("after completion there is %+v", era)
	}
	for _, m := range c.Members {
		check(t, c.CreateProfile(ctx, m, "written-after-"+m.Name))
	}
	movedOnce(t, c, m)
	if held.Load() == 0 {
		t.Error("no write of the load was held")
	}
	servedBut(t, load, killed, m)
}

// heldLoad is load whose writes may be refused while data is migrated, and how
// many were.
func heldLoad(t *testing.T, c *Cluster) (*Load, *atomic.Int64) {
	t.Helper()
	l, held := &Load{cluster: c}, &atomic.Int64{}
	for _, m := range c.Members {
		client := l.add(m, "held", lookEvery, 2)
		accept := client.Accept
		client.Accept = func(n int, a Answer) error {
			if client.Writes(n) && a.Status == http.StatusServiceUnavailable && strings.Contains(string(a.Body), "migrating the data") {
				held.Add(1)
				return nil
			}
			return accept(n, a)
		}
	}
	check(t, l.start(within(t)))
	return l, held
}

// writesHeld checks that every member refuses the writes of people, says when to
// come again, and serves reads.
func writesHeld(t *testing.T, c *Cluster) {
	t.Helper()
	ctx := within(t)
	for _, m := range c.Members {
		path := "/api/v3/profiles/" + itemProfile(0)
		for _, r := range []Request{
			Text("POST", "/api/v3/profiles", "", `{"Name":"refused"}`),
			Text("POST", path+"/params/more", "", `1`),
			Text("PATCH", "/api/v3/profiles", "", `{"Changes":[{"Profile":"`+itemProfile(0)+`","Key":"more","Now":1}]}`),
			{Method: "DELETE", Path: path},
		} {
			a := must[Answer](t)(c.Do(ctx, m, r))
			refused(t, a, http.StatusServiceUnavailable, "migrating the data", "theseus system upgrade progress")
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("%s %s says nothing of when to come again", r.Method, r.Path)
			}
		}
		for _, query := range []string{"", "?consistent=true"} {
			a, err := c.Do(ctx, m, get(path+query))
			answered(t, a, err, http.StatusOK)
		}
	}
}

// Three attempts fail: others may write until a person has it tried again.
func TestAMigrationThatFailsThreeTimesWaitsForAPerson(t *testing.T) {
	t.Parallel()
	const name = "item-form-3"
	c := newCluster(t, nil)
	ctx := within(t)
	seeded(t, c)
	load, held := heldLoad(t, c)
	m := c.Members[0]
	check(t, c.Staged(ctx, m, migrating(t, v110, name)))
	check(t, c.Run(ctx, m, `{"probation":"0s"}`))
	j := awaitMigration(t, c, m, name, "the third failure", func(j model.Job) bool { return j.State == model.JobFailed })

	if j.Attempts != 3 || !strings.Contains(j.Error, "fails on purpose") || j.Done >= allItems*9/10 || j.Checkpoint == "" {
		t.Errorf("the job is %+v", j)
	}
	s := must[Status](t)(c.Status(ctx, m))
	if s.Status != "working" || s.WaitingFor == nil || !strings.Contains(s.WaitingFor.What, name) ||
		!strings.Contains(strings.Join(s.WaitingFor.Choices, "\n"), "theseus jobs run "+name) {
		t.Errorf("it is %+v, waiting for %+v", s, s.WaitingFor)
	}
	if r := progress(t, c, m); r.State != "failed" || r.Percent != 89 || !strings.Contains(r.What, name) {
		t.Errorf("it says %+v", r)
	}
	for _, m := range c.Members {
		check(t, c.CreateProfile(ctx, m, "written-while-it-waits-"+m.Name))
	}
	byUser := *c
	byUser.Auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+c.token))
	a, err := byUser.Do(ctx, followers(t, c)[0], Text("POST", "/api/v0/jobs", "", `{"action":"`+name+`"}`))
	answered(t, a, err, http.StatusAccepted)
	if !strings.Contains(string(a.Body), `"id":"`+j.ID+`"`) {
		t.Errorf("it was answered %s", a.Body)
	}
	end := followed(t, c)

	if end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
	log := must[string](t)(c.CLI(ctx, m, "jobs", "log", j.ID))
	if !strings.Contains(log, "goes on from checkpoint "+j.Checkpoint) {
		t.Errorf("it went on from elsewhere:\n%s", log)
	}
	movedOnce(t, c, m)
	if held.Load() == 0 {
		t.Error("no write of the load was held")
	}
	servedBut(t, load, nil, m)
}

// Members go back while data is moved: the migration ends, and the version before
// reads what it has left.
func TestARollBackEndsABackgroundMigration(t *testing.T) {
	t.Parallel()
	const name = "item-form-0"
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	seeded(t, c)
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	m := c.Members[0]
	check(t, c.Staged(ctx, m, migrating(t, v110, name)))
	check(t, c.Run(ctx, m, `{"probation":"0s","mode":"background","throttle":2000}`))
	j := awaitMigration(t, c, m, name, "some items to be moved", func(j model.Job) bool { return j.Done >= allItems/20 })

	asked(t, c, m, rollbackPath)
	back := until(t, c, m, "all to be back", func(s Status) bool { return s.Status == "failed" })

	if back.Final != "rolled back to 1.0.0" || back.Back != model.BackDone {
		t.Errorf("it went back as %+v", back)
	}
	runs(t, c, before, v100, samePID)
	j = awaitMigration(t, c, m, name, "the job to be over", func(now model.Job) bool { return now.ID == j.ID && now.State.Over() })
	if j.State != model.JobCanceled || j.Attempts != 0 || j.Done >= allItems {
		t.Errorf("the job is %+v", j)
	}
	for _, m := range c.Members {
		childless(t, m)
		all := items(t, c, m)
		if n := inForm(all, 2); n < int(j.Done) || n > int(j.Done)+itemsPerCheckpoint {
			t.Errorf("%s has %d items in the new form, and the job moved %d", m.Name, n, j.Done)
		}
	}
	if r := progress(t, c, m); r.State == "running" {
		t.Errorf("it says %+v", r)
	}
	servedBut(t, load, nil, m)
}

// Somebody writes an item in the old form when all are moved: the completion finds
// it, and the migration runs once more.
func TestTheCompletionFindsWhatAMigrationLeftOver(t *testing.T) {
	t.Parallel()
	const name = "item-form-0"
	c := newCluster(t, nil)
	ctx := within(t)
	seeded(t, c)
	m := c.Members[0]
	check(t, c.Staged(ctx, m, migrating(t, v110, name)))
	check(t, c.Run(ctx, m, `{"probation":"0s","mode":"background"}`))
	first := awaitMigration(t, c, m, name, "the migration to be done", func(j model.Job) bool { return j.State.Over() })
	path := "/api/v3/profiles/" + itemProfile(7) + "/params/" + itemKey(7)
	a, err := c.Do(ctx, m, Text("POST", path, "", `{"form":1,"n":707,"moves":0}`))
	answered(t, a, err, http.StatusOK)

	a = must[Answer](t)(c.Do(ctx, m, Request{Method: "POST", Path: completePath}))
	refused(t, a, http.StatusConflict, "final check of "+name, "1 items have the old form")
	second := awaitMigration(t, c, m, name, "the migration to run again", func(j model.Job) bool { return j.ID != first.ID && j.State.Over() })
	if first.State != model.JobDone || second.State != model.JobDone || second.Done != allItems {
		t.Errorf("the jobs are %+v and %+v", first, second)
	}
	a, err = c.Do(ctx, m, Request{Method: "POST", Path: completePath})
	answered(t, a, err, http.StatusOK)
	movedOnce(t, c, m)
}

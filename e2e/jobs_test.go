package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/model"
)

// awaitJob waits until the job is as fits says.
func awaitJob(t *testing.T, c *Cluster, m *Member, id, what string, fits func(model.Job) bool) (j model.Job) {
	t.Helper()
	ctx := within(t)
	check(t, Until(ctx, what, func() (bool, error) {
		err := c.Get(ctx, m, "/api/v3/jobs/"+id, &j)
		return err == nil && fits(j), nil
	}))
	return j
}

// A member stands still, so that verifying fails; leadership moves meanwhile.
func TestAJobIsTriedThreeTimesThenByHandWhoeverLeads(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	leader := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	rest := followers(t, c)
	down, next := rest[0], rest[1]
	check(t, down.Signal(syscall.SIGSTOP))
	var j model.Job
	a := must[Answer](t)(c.Do(ctx, next, Text("POST", "/api/v3/jobs", "", `{"action":"verify"}`)))
	check(t, json.Unmarshal(a.Body, &j))
	awaitJob(t, c, leader, j.ID, "the job to fail once", func(j model.Job) bool { return j.Attempts == 1 })
	moved := must[Answer](t)(c.Do(ctx, leader, Text("POST", "/api/v3/system/consensus/transfer", "", `{"to":"`+next.Name+`"}`)))
	if moved.Status != http.StatusAccepted {
		t.Fatalf("hand leadership over: %d %s", moved.Status, moved.Body)
	}

	j = awaitJob(t, c, leader, j.ID, "the job to wait for a person", func(j model.Job) bool { return j.State == model.JobFailed })

	text := strings.Join(j.Log, "\n")
	if j.Attempts != 3 || !strings.Contains(text, next.Name+" goes on") || !strings.Contains(text, down.Name+": ") {
		t.Errorf("the job is %+v", j)
	}
	refused(t, must[Answer](t)(c.Do(ctx, next, Text("POST", "/api/v3/jobs", "", `{"action":"metadatastoremigration"}`))), 422, "there is no")
	check(t, down.Signal(syscall.SIGCONT))
	check(t, down.AwaitReady(ctx))
	c.Auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+c.token))
	again := must[Answer](t)(c.Do(ctx, down, Text("POST", "/api/v0/jobs", "application/json", `{"action": "verify"}`)))
	if again.Status != http.StatusAccepted || !strings.Contains(string(again.Body), `"id":"`+j.ID+`"`) {
		t.Errorf("triggered by hand: %d %s", again.Status, again.Body)
	}
	shown := must[string](t)(c.CLI(ctx, down, "jobs", "log", j.ID, "--follow"))
	j = awaitJob(t, c, down, j.ID, "the job to be done", func(j model.Job) bool { return j.State == model.JobDone })
	if lines := strings.Count(shown, "\n"); j.Done != 3 || lines != len(j.Log) || !strings.Contains(shown, down.Name+": wrote and read on 1.0.0") {
		t.Errorf("%d lines were printed of %+v", lines, j)
	}
}

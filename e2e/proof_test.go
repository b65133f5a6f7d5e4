package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

const checkPath = "/api/v3/system/upgrade/check"

func checkReport(ctx context.Context, t *testing.T, c *Cluster, method string) (r model.CheckReport) {
	t.Helper()
	a, err := c.Do(ctx, c.Members[0], Request{Method: method, Path: checkPath})
	answered(t, a, err, http.StatusOK)
	check(t, json.Unmarshal(a.Body, &r))
	return r
}

// written is n params written through a member, for the log.
func written(ctx context.Context, t *testing.T, c *Cluster, n int) {
	t.Helper()
	const profile = "/api/v3/profiles"
	a, err := c.Do(ctx, c.Members[1], Text("POST", profile, "", `{"Name":"written"}`))
	answered(t, a, err, http.StatusCreated)
	for i := range n {
		a, err := c.Do(ctx, c.Members[1], Text("POST", fmt.Sprintf("%s/written/params/p%d", profile, i), "", fmt.Sprint(i)))
		answered(t, a, err, http.StatusOK)
	}
}

func TestCheckTriesTheStagedVersionOutOnEveryMemberAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	m := c.Members[0]
	if r := checkReport(ctx, t, c, "POST"); !r.OK || r.Version != "" || len(r.Members) != 3 || !strings.Contains(r.Members[0].Note, "nothing is staged") {
		t.Errorf("with nothing staged the report is %+v", r)
	}
	check(t, c.Staged(ctx, m, archive(t, v110)))
	written(ctx, t, c, 5)
	was := must[Status](t)(c.Status(ctx, m))
	before := must[Snapshot](t)(c.Look(ctx))

	r := checkReport(ctx, t, c, "POST")

	if !r.OK || r.Version != "1.1.0" || len(r.Members) != 3 {
		t.Errorf("the report is %+v", r)
	}
	for _, one := range r.Members {
		if one.Replayed == 0 || one.Note != "" || one.Took == "" {
			t.Errorf("%+v", one)
		}
	}
	now := must[Status](t)(c.Status(ctx, m))
	if now.Status != "staged" || len(now.Transcript) != len(was.Transcript) {
		t.Errorf("it is %+v now", now)
	}
	runs(t, c, before, v100, samePID)
	table := must[string](t)(c.CLI(ctx, m, "system", "upgrade", "check", "-o", "table"))
	for _, one := range c.Members {
		if !strings.Contains(table, one.Name) {
			t.Errorf("%s is not in the table: %s", one.Name, table)
		}
	}

	check(t, c.Run(ctx, m, quick))
	end := followed(t, c)
	text := strings.Join(end.Transcript, "\n")
	if end.Status != "finished" || strings.Count(text, "passed its trial run, ") != 3 || strings.Contains(text, "no replay") ||
		!strings.Contains(text, "the way back to 1.0.0 is proven, ") {
		t.Errorf("the upgrade ended %+v", end)
	}
	if r := checkReport(ctx, t, c, "POST"); r.Version != "" {
		t.Errorf("after the end the report is %+v", r)
	}
}

func TestCheckFindsABuildThatCannotReadTheState(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	check(t, c.Staged(ctx, c.Members[0], archive(t, Build{Version: "1.1.0", Fault: "badstate"})))
	for _, method := range []string{"GET", "POST"} {
		r := checkReport(ctx, t, c, method)
		if r.OK || len(r.Members) != 3 {
			t.Errorf("the report is %+v", r)
		}
		for _, one := range r.Members {
			if found := one.Refusals(); len(found) != 1 || !strings.Contains(found[0].What, "cannot read members") {
				t.Errorf("%+v", one)
			}
		}
	}
	_, err := c.CLI(ctx, c.Members[0], "system", "upgrade", "check")
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 6 {
		t.Errorf("the CLI ended %v, want code 6", err)
	}
	if s := must[Status](t)(c.Status(ctx, c.Members[0])); s.Status != "staged" {
		t.Errorf("it is %+v", s)
	}
	runs(t, c, before, v100, samePID)
}

func TestABuildThatMakesOtherRecordsOfTheLogIsCaughtBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	check(t, c.Staged(ctx, c.Members[0], archive(t, Build{Version: "1.1.0", Fault: "badreplay"})))
	r := checkReport(ctx, t, c, "POST")
	for _, one := range r.Members { // nobody has written yet: the drill tells
		if found := one.Refusals(); len(found) != 1 || !strings.Contains(found[0].What, "makes other records than 1.0.0 of command param.set at index") {
			t.Errorf("before any write: %+v", one)
		}
	}
	written(ctx, t, c, 1)
	check(t, c.Run(ctx, c.Members[0], quick))
	end := followed(t, c)
	if end.Status != "failed" || strings.Count(end.Final, "1.1.0 makes other records than 1.0.0 of the commands from index") != 3 {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v100, samePID)
}

package e2e

import (
	"bytes"
	"net/http"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnArchiveCanBeStagedAndClearedThroughEachMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := still(t, c)
	for i, m := range c.Members {
		other := c.Members[(i+1)%len(c.Members)]
		a, err := c.Stage(ctx, m, archive(t, v110))
		answered(t, a, err, http.StatusCreated)
		want := `"Path":"` + must[string](t)(FileImage(archive(t, v110))) + `"`
		if !bytes.Contains(a.Body, []byte(want)) {
			t.Errorf("stage through %s answers %s, without %s", m.Name, a.Body, want)
		}

		again, err := c.Stage(ctx, other, archive(t, v110))
		answered(t, again, err, http.StatusOK)
		if diff := cmp.Diff(string(a.Body), string(again.Body)); diff != "" {
			t.Errorf("the same archive again is another: %s", diff)
		}
		second, err := c.Stage(ctx, other, archive(t, Build{Version: "1.0.1"}))
		check(t, err)
		refused(t, second, http.StatusConflict, "staged", "unstage")
		for _, n := range c.Members {
			s := must[Status](t)(c.UpToDate(ctx, n))
			if s.Status != "staged" || s.To != "1.1.0" {
				t.Errorf("%s shows %+v", n.Name, s)
			}
		}

		a, err = c.Unstage(ctx, other)
		answered(t, a, err, http.StatusOK)
		check(t, Until(ctx, "every member to look as before", func() (bool, error) {
			return cmp.Equal(before, still(t, c)), nil
		}))
	}
}

func TestNothingStagedIsAnsweredEverywhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	before := still(t, c)
	for _, r := range []Request{
		{Method: "POST", Path: runPath},
		{Method: "DELETE", Path: stagePath},
		get(statusPath),
		get("/api/v3/profiles/rackn-system-upgrade-tracking"),
	} {
		a := must[Answer](t)(c.Do(ctx, c.Members[0], r))
		refused(t, a, http.StatusNotFound)
	}
	unchanged(t, c, before)
}

func TestRunOptionsThatAreNotKnownAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	m := c.Members[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	before := still(t, c)
	for _, row := range []struct {
		body   string
		status int
		word   string
	}{
		{`{"proberation":"1s"}`, http.StatusBadRequest, "proberation"},
		{`{"probation":"soon"}`, http.StatusBadRequest, "probation"},
		{`{`, http.StatusBadRequest, "JSON"},
		{`{"mode":"slowly"}`, http.StatusBadRequest, "mode"},
		{`{"onFailure":"explode"}`, http.StatusBadRequest, "onFailure"},
		{`{"ignore":["everything"]}`, http.StatusUnprocessableEntity, "quorum"},
		{`{"holdAfter":-1}`, http.StatusBadRequest, "holdAfter"},
	} {
		a := must[Answer](t)(c.Do(ctx, m, Text("POST", runPath, "", row.body)))
		refused(t, a, row.status, row.word)
	}
	unchanged(t, c, before)
}

func TestAMemberThatIsDownIsNamedAtStage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	up, down := c.Members[0], c.Members[2]
	check(t, down.Kill(ctx))
	check(t, Until(ctx, "a leader", func() (bool, error) { _, err := c.Leader(ctx, up); return err == nil, err }))
	before := still(t, c)

	a := must[Answer](t)(c.Stage(ctx, up, archive(t, v110)))

	refused(t, a, http.StatusUnprocessableEntity, down.Name, "start it", "remove")
	unchanged(t, c, before)
}

func TestAMemberThatIsDownIsNamedAtRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	up, down := c.Members[0], c.Members[2]
	check(t, c.Staged(ctx, up, archive(t, v110)))
	check(t, down.Kill(ctx))
	check(t, Until(ctx, "a leader", func() (bool, error) { _, err := c.Leader(ctx, up); return err == nil, err }))
	before := still(t, c)

	a := must[Answer](t)(c.Do(ctx, up, Request{Method: "POST", Path: runPath}))

	refused(t, a, http.StatusConflict, down.Name, "start it", "remove")
	unchanged(t, c, before)
	check(t, down.Start())
	check(t, down.AwaitReady(ctx))
	check(t, c.Run(ctx, up, quick))
	if end := followed(t, c); end.Status != "finished" {
		t.Errorf("the upgrade ended %+v", end)
	}
}

func TestAPrerequisiteLostSinceStagingKeepsTheUpgradeStaged(t *testing.T) {
	t.Parallel()
	if syscall.Geteuid() != 0 {
		t.Fatal("run as root: the members run as another user, whose directory is taken away")
	}
	c := newCluster(t, func(p *Plan) { p.User = nobody() })
	ctx := within(t)
	m := c.Members[1]
	check(t, c.Staged(ctx, c.Members[0], archive(t, v110)))
	before := still(t, c)
	check(t, syscall.Chown(m.Bin(), 0, 0))

	a := must[Answer](t)(c.Do(ctx, c.Members[0], Request{Method: "POST", Path: runPath}))

	refused(t, a, http.StatusConflict, m.Name, m.Bin())
	unchanged(t, c, before)
}

// unchanged checks that nothing is other than before. What was refused by a member
// after it was on its way is cleared by every member in its own time.
func unchanged(t *testing.T, c *Cluster, before []string) {
	t.Helper()
	diff := ""
	err := Until(within(t), "everything to be as before", func() (bool, error) {
		diff = cmp.Diff(before, still(t, c))
		return diff == "", nil
	})
	if err != nil {
		t.Errorf("something was changed: %s", diff)
	}
}

package e2e

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// heldAfter begins an upgrade that pauses when n members are done.
func heldAfter(t *testing.T, c *Cluster, m *Member, options string) Status {
	t.Helper()
	check(t, c.Staged(within(t), m, archive(t, v110)))
	check(t, c.Run(within(t), m, options))
	return until(t, c, m, "the upgrade to pause", func(s Status) bool { return s.Paused != nil && s.Working == "" })
}

// done are the members that s shows as done.
func done(c *Cluster, s Status) (all []*Member) {
	for _, n := range s.Nodes {
		if n.Step == "done" {
			all = append(all, c.Named(n.Name))
		}
	}
	return all
}

func TestS8AnOlderLeaderHandsOverOnceANewerOneHasLed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	old := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	newer := done(c, heldAfter(t, c, old, `{"probation":"0s","holdAfter":2}`))
	check(t, c.Transfer(ctx, newer[0]))
	check(t, Until(ctx, "the floor to be on record", func() (bool, error) { return c.logged(newer[0], "the floor is 1.1.0 now") }))

	a, err := c.Do(ctx, newer[0], Text("POST", "/api/v3/system/consensus/transfer", "", `{"to":"`+old.Name+`"}`))
	answered(t, a, err, http.StatusAccepted)
	check(t, Until(ctx, "it to have led", func() (bool, error) { return c.logged(old, "entering leader state") }))

	check(t, Until(ctx, "a newer member to lead again", func() (bool, error) {
		l, err := c.Leader(ctx, old)
		return err == nil && l != old, nil
	}))
	asked(t, c, old, resumePath)
	if end := followed(t, c); end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
}

// Beyond the floor somebody has to lead all the same.
func TestS8WithoutANewerMemberAnOlderOneLeadsAndServes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 5 })
	ctx := within(t)
	old := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	newer := done(c, heldAfter(t, c, old, `{"probation":"0s","holdAfter":2}`))
	check(t, c.Transfer(ctx, newer[0]))
	check(t, Until(ctx, "the floor to be on record", func() (bool, error) { return c.logged(newer[0], "the floor is 1.1.0 now") }))

	for _, m := range newer {
		check(t, m.Kill(ctx))
	}

	check(t, Until(ctx, "a write to be taken", func() (bool, error) { return c.CreateProfile(ctx, old, "kept") == nil, nil }))
	until(t, c, old, "the transcript to say so", func(s Status) bool {
		return s.has("leads on 1.0.0 under cluster version 1.0.0, though 1.1.0 has led")
	})
	for _, m := range newer {
		check(t, m.Start())
	}
	asked(t, c, old, resumePath)
	if end := followed(t, c); end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
}

func TestS5AMemberThatIsDoneAndRunsTheOldImageGoesAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	first := done(c, heldAfter(t, c, m, `{"probation":"0s","holdAfter":1}`))[0]
	check(t, first.Stop(ctx))
	first.swap(t, v100)
	check(t, first.Start())
	until(t, c, m, "it to wait for another turn", func(s Status) bool { return s.at("waiting") == 3 })

	asked(t, c, m, resumePath)
	end := followed(t, c)

	if end.Status != "finished" || !end.Completed {
		t.Errorf("it ended %+v", end)
	}
	runs(t, c, before, v110, anyPID)
}

func TestS5AMemberThatFailedAndRunsTheNewImageGoesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := must[*Member](t)(c.Leader(ctx, c.Members[0]))
	check(t, c.Staged(ctx, m, archive(t, v110)))
	check(t, c.Run(ctx, m, `{"probation":"1s","deadline":"4s"}`))
	s := until(t, c, m, "a member on probation", func(s Status) bool { return s.at("probation") == 1 })
	out := c.out(s)
	check(t, out.unwatched())
	check(t, out.Signal(syscall.SIGSTOP))
	until(t, c, m, "its deadline to pass", func(s Status) bool { return s.at("failed") == 1 })
	check(t, out.Signal(syscall.SIGCONT))

	back := until(t, c, m, "it to be back", func(s Status) bool { return s.at("reverted") == 1 })

	if back.Status != "failed" {
		t.Errorf("it ended %+v", back)
	}
	runs(t, c, before, v100, anyPID)
}

// unwatched ends what watches over the daemon, and would put the old executable
// back before the record says anything.
func (m *Member) unwatched() error {
	all, err := m.Processes()
	for _, p := range all {
		if !p.daemon() {
			err = errors.Join(err, p.signal(syscall.SIGKILL))
		}
	}
	return err
}

// out is the member that is out in s.
func (c *Cluster) out(s Status) *Member {
	for _, n := range s.Nodes {
		if n.Step == "probation" || out[n.Step] {
			return c.Named(n.Name)
		}
	}
	return nil
}

// logged says whether a member has said what in its log.
func (c *Cluster) logged(m *Member, what string) (bool, error) {
	raw, err := os.ReadFile(m.Log())
	return strings.Contains(string(raw), what), err
}

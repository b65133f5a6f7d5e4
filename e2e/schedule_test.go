package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAScheduledStartIsMadeByWhoeverLeadsThen(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	rest := followers(t, c)
	m := rest[0]
	check(t, c.Staged(ctx, m, archive(t, v110)))
	must[string](t)(c.CLI(ctx, m, "system", "upgrade", "start", "--at", time.Now().Add(time.Hour).Format(time.RFC3339)))
	must[string](t)(c.CLI(ctx, m, "system", "upgrade", "cancel"))
	cancel := Request{Method: "DELETE", Path: runPath}
	refused(t, must[Answer](t)(c.Do(ctx, m, cancel)), http.StatusNotFound, "no start is scheduled")

	at := time.Now().Add(4 * time.Second)
	check(t, c.Run(ctx, m, fmt.Sprintf(`{"at":%q,"probation":"1s"}`, at.Format(time.RFC3339Nano))))
	check(t, c.Transfer(ctx, rest[1]))

	s := Status{}
	check(t, Until(ctx, "the upgrade to start by itself", func() (_ bool, err error) {
		s, err = c.Status(ctx, m)
		return s.Status == "working", err
	}))
	refused(t, must[Answer](t)(c.Do(ctx, m, cancel)), http.StatusConflict, "started already", "unstage")
	began := stamps(t, s, "started by")
	if len(began) != 1 || began[0].Before(at) {
		t.Errorf("scheduled for %s it started at %v:\n%s", at, began, strings.Join(s.Transcript, "\n"))
	}
	for _, line := range []string{"schedule cancelled by admin", "started by admin, as scheduled"} {
		if !strings.Contains(strings.Join(s.Transcript, "\n"), line) {
			t.Errorf("the transcript does not say %q", line)
		}
	}
}

// stamps are the times of the lines of a transcript that say what.
func stamps(t *testing.T, s Status, what string) (all []time.Time) {
	t.Helper()
	for _, line := range s.Transcript {
		if stamp, text, _ := strings.Cut(line, " "); strings.Contains(text, what) {
			all = append(all, must[time.Time](t)(time.Parse(time.RFC3339, stamp)))
		}
	}
	return all
}

func TestMembersGoInTheirWindowAndTheHistoryTellsOfIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	m := followers(t, c)[0]
	bad := upgraded(t, c, Build{Version: "1.1.0", Fault: "badstate"}, quick)
	a, err := c.Unstage(ctx, m)
	answered(t, a, err, http.StatusOK)
	check(t, c.Staged(ctx, m, archive(t, v110)))
	now := time.Now().UTC().Truncate(time.Second) // as fine as a window is written
	closes, opens := now.Add(4*time.Second), now.Add(7*time.Second)
	window := between(now, closes) + ";" + between(opens, opens.Add(time.Hour))

	check(t, c.Run(ctx, m, fmt.Sprintf(`{"probation":"2s","window":%q}`, window))) // three members do not fit into the first
	end := followed(t, c)

	if end.Status != "finished" {
		t.Errorf("the upgrade ended %+v", end)
	}
	for _, n := range end.Nodes {
		if n.Step != "done" || n.Attempt != 1 {
			t.Errorf("%s is %s after %d attempts", n.Name, n.Step, n.Attempt)
		}
	}
	turns := stamps(t, end, ": its turn")
	const stampLag = time.Second // from the look at the clock to the stamp
	if slices.ContainsFunc(turns, func(at time.Time) bool { return at.After(closes.Add(stampLag)) && at.Before(opens) }) {
		t.Errorf("closed from %s to %s, and turns were given at %v", closes, opens, turns)
	}
	if len(turns) != 3 || turns[2].Before(opens) {
		t.Errorf("the window opens again at %s, turns were given at %v", opens, turns)
	}
	history(t, c, bad, end)
}

func between(from, to time.Time) string {
	return from.Format(time.TimeOnly) + "-" + to.Format(time.TimeOnly)
}

// history checks that m lists what ended first and second, the last one first,
// and tells all of it, by the command line too.
func history(t *testing.T, c *Cluster, first, second Status) {
	t.Helper()
	type past struct {
		ID         string   `json:"id"`
		Status     string   `json:"status"`
		Final      string   `json:"final-state"`
		Took       string   `json:"took"`
		Completed  bool     `json:"completed"`
		Transcript []string `json:"transcript"`
		Members    []struct {
			Name string `json:"name"`
			Out  string `json:"out"`
		} `json:"members"`
	}
	ctx := within(t)
	const path = "/api/v3/system/upgrade/history"
	var all []past
	check(t, c.Get(ctx, c.Members[1], path+"?consistent=true", &all))
	if len(all) != 2 || all[0].Status != "finished" || !all[0].Completed || all[1].Status != "failed" || all[1].Final != first.Final {
		t.Fatalf("the history is %+v", all)
	}
	var one past
	check(t, c.Get(ctx, c.Members[2], path+"/"+all[0].ID+"?consistent=true", &one))
	if !slices.Equal(one.Transcript, second.Transcript) || len(one.Members) != 3 || one.Took != all[0].Took {
		t.Errorf("the history tells of the last one: %+v", one)
	}
	for _, m := range one.Members {
		if out, err := time.ParseDuration(m.Out); err != nil || out < 2*time.Second {
			t.Errorf("%s was out for %q, which is less than its probation", m.Name, m.Out)
		}
	}
	refused(t, must[Answer](t)(c.Do(ctx, c.Members[0], get(path+"/nosuch"))), http.StatusNotFound, "nosuch")
	shown := must[string](t)(c.CLI(ctx, c.Members[0], "system", "upgrade", "history", all[1].ID, "-o", "table"))
	if !strings.Contains(shown, first.Final) {
		t.Errorf("history shows\n%s", shown)
	}
}

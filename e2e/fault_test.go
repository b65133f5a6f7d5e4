package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// caps are what the tests give to binaries.
const caps = "cap_net_bind_service,cap_setfcap=ep"

// setcap gives a member's binary the capabilities in text.
func setcap(text string) func(*Member) error {
	return func(m *Member) error {
		if out, err := exec.Command("setcap", text, m.Binary()).CombinedOutput(); err != nil {
			return &CommandError{Command: "setcap " + text, Err: err, Stderr: string(out)}
		}
		return nil
	}
}

// faults are the builds that pass their self-check and do not live, and what is
// said of each.
var faults = map[string]string{
	"exit":       "died 3 times",
	"segv":       "died 3 times",
	"panic":      "died 3 times",
	"hang-early": "no sign of life after its start",
	"hang-late":  "stopped giving signs of life while serving",
}

func TestABuildThatDoesNotLiveIsPutBack(t *testing.T) {
	for fault, reason := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(p *Plan) { p.Prepare = setcap(caps) })
			ctx := within(t)
			before := must[Snapshot](t)(c.Look(ctx))
			had := capabilities(t, c)
			bad := Build{Version: "1.1.0", Fault: fault}
			load := must[*Load](t)(c.StartLoad(ctx, lookEvery))

			// One that hangs does so two seconds after it was there.
			end := upgraded(t, c, bad, `{"probation":"8s"}`)

			putBack(t, c, end, reason)
			load.Stop()
			if err := load.Lost(ctx, c.Members[0]); err != nil {
				t.Error(err)
			}
			runs(t, c, before, v100, anyPID)
			if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
				t.Errorf("capabilities are not as before: %s", diff)
			}
			a := must[Answer](t)(c.Do(ctx, c.Members[0], Request{Method: "POST", Path: runPath}))
			refused(t, a, http.StatusConflict, "failed before")
		})
	}
}

// putBack checks that an upgrade ended because one member was put back for a
// reason, that it says which, and that every member takes writes again.
func putBack(t *testing.T, c *Cluster, end Status, reason string) {
	t.Helper()
	ctx := within(t)
	if end.Status != "failed" || end.at("reverted") != 1 {
		t.Errorf("the upgrade ended %+v", end)
	}
	for _, n := range end.Nodes {
		if n.Step == "reverted" && !(strings.Contains(end.Final, n.Name) && strings.Contains(end.Final, reason)) {
			t.Errorf("the end is %q, and says nothing of %s and %q", end.Final, n.Name, reason)
		}
	}
	t.Logf("%s after it left, that is put back", moment(t, end, ": reverted").Sub(moment(t, end, ": leaving")))
	for _, m := range c.Members {
		check(t, m.AwaitReady(ctx))
		check(t, c.CreateProfile(ctx, m, "after-"+m.Name))
	}
}

// moment is when the transcript says something first.
func moment(t *testing.T, s Status, what string) time.Time {
	t.Helper()
	for _, line := range s.Transcript {
		if strings.Contains(line, what) {
			stamp, _, _ := strings.Cut(line, " ")
			return must[time.Time](t)(time.Parse(time.RFC3339Nano, stamp))
		}
	}
	t.Fatalf("the transcript says nothing of %q", what)
	return time.Time{}
}

func capabilities(t *testing.T, c *Cluster) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range c.Members {
		all[m.Name] = must[string](t)(m.Capabilities(t.Context()))
		if all[m.Name] == "" {
			t.Fatalf("the binary of %s has no capabilities", m.Name)
		}
	}
	return all
}

func TestABuildThatCannotReadTheStateIsRefusedInChecking(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	before := must[Snapshot](t)(c.Look(within(t)))

	end := upgraded(t, c, Build{Version: "1.1.0", Fault: "badstate"}, quick)

	if end.Status != "failed" || !strings.Contains(end.Final, "cannot read members") {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v100, samePID)
}

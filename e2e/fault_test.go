package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

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

func TestABuildThatDiesIsPutBack(t *testing.T) {
	for _, fault := range []string{"exit", "segv", "panic", "hang-early", "hang-late"} {
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

			load.Stop()
			if err := load.Lost(ctx, c.Members[0]); err != nil {
				t.Error(err)
			}
			if end.Status != "failed" || end.Final == "" {
				t.Errorf("the upgrade ended %+v", end)
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
	c := newCluster(t, nil)
	before := must[Snapshot](t)(c.Look(within(t)))

	end := upgraded(t, c, Build{Version: "1.1.0", Fault: "badstate"}, quick)

	if end.Status != "failed" || !strings.Contains(end.Final, "cannot read members") {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v100, samePID)
}

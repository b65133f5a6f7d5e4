package e2e

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nobody is an ordinary user.
func nobody() *syscall.Credential { return &syscall.Credential{Uid: 65534, Gid: 65534} }

// onLowPort makes a cluster of an ordinary user's members on a port that such a
// user may not bind without a capability. The tests run beside each other on the
// same addresses, so each has a port of its own.
func onLowPort(t *testing.T, lowPort int, text string) *Cluster {
	t.Helper()
	raw := must[[]byte](t)(os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
	if first := must[int](t)(strconv.Atoi(strings.TrimSpace(string(raw)))); first <= lowPort {
		t.Fatalf("here anybody may bind port %d: net.ipv4.ip_unprivileged_port_start is %d", lowPort, first)
	}
	if os.Geteuid() != 0 {
		t.Fatal("run as root: the members run as an ordinary user with binaries that root gave capabilities")
	}
	return newCluster(t, func(p *Plan) {
		p.TrustedKey, p.User, p.APIPort, p.Prepare = "", nobody(), lowPort, setcap(text)
	})
}

func TestAnOrdinaryUserKeepsItsCapabilitiesAndItsLowPort(t *testing.T) {
	t.Parallel()
	c := onLowPort(t, 443, caps)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	had, effective := capabilities(t, c), effective(t, c)
	check(t, c.Staged(ctx, c.Members[1], unsigned(t, "1.1.0", v110)))
	check(t, c.Run(ctx, c.Members[1], quick))

	if end := followed(t, c); end.Status != "finished" {
		t.Errorf("the upgrade ended %+v", end)
	}

	runs(t, c, before, v110, samePID)
	same := func(when string) {
		t.Helper()
		if diff := cmp.Diff(had, capabilities(t, c)); diff != "" {
			t.Errorf("%s, file capabilities are not as before: %s", when, diff)
		}
		if diff := cmp.Diff(effective, effectiveOf(t, c)); diff != "" {
			t.Errorf("%s, effective capabilities are not as before: %s", when, diff)
		}
	}
	same("after the upgrade")
	for _, m := range c.Members {
		check(t, m.Stop(ctx))
		check(t, m.Start())
		check(t, m.AwaitReady(ctx))
	}
	same("after a cold start")
}

func effective(t *testing.T, c *Cluster) map[string]string {
	t.Helper()
	all := effectiveOf(t, c)
	for name, set := range all {
		if strings.Trim(set, "0") == "" {
			t.Fatalf("%s has no effective capabilities", name)
		}
	}
	return all
}

func effectiveOf(t *testing.T, c *Cluster) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range c.Members {
		p, runs := m.Daemon()
		if !runs {
			t.Fatalf("%s does not run", m.Name)
		}
		all[m.Name] = must[string](t)(p.Status("CapEff"))
	}
	return all
}

func TestWithoutAWayToRestoreCapabilitiesNothingIsStaged(t *testing.T) {
	t.Parallel()
	c := onLowPort(t, 444, "cap_net_bind_service=ep")
	before := still(t, c)

	a := must[Answer](t)(c.Stage(within(t), c.Members[1], unsigned(t, "1.1.0", v110)))

	refused(t, a, http.StatusUnprocessableEntity, "n1", "n2", "n3", c.Members[0].Binary(), "setcap")
	unchanged(t, c, before)
}

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fillSize makes an archive worth compacting.
const fillSize = 64 << 20

func TestAJoinerKilledAtAnyFileOfItsSnapshotJoins(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Bin, p.TrustedKey = binaries(t, crash100), "" })
	ctx := within(t)
	big := filepath.Join(t.TempDir(), "big.zip")
	check(t, Fatten(unsigned(t, "1.1.0", crash110), big, fillSize))
	check(t, c.Staged(ctx, c.Members[0], big))
	want := archives(t, c.Members[0])
	for i, point := range points(t, true) {
		for _, when := range []string{"before", "after"} {
			t.Run(point+"/"+when, func(t *testing.T) {
				m := joiner(t, c, fmt.Sprintf("j%d-%s", i, when), kill{point: point, when: when})
				joinedInSpite(t, c, m, want)
				leave(t, c, m)
			})
		}
	}
}

// joiner is a further member, told where to die.
func joiner(t *testing.T, c *Cluster, name string, k kill) *Member {
	t.Helper()
	p := Plan{Dir: filepath.Dir(c.Members[0].Dir), Bin: binaries(t, crash100)}
	m := must[*Member](t)(p.member(len(c.Members)))
	m.Name = name
	check(t, os.Mkdir(filepath.Dir(deathNote(m)), 0o755))
	check(t, mortal(k)(m))
	return m
}

// joinedInSpite joins m, which dies once on the way and is started again, until it has the archives it should have and
// no other. The leader never heard that the first snapshot arrived, so it may send it a second time; for that long the
// joiner holds two generations.
func joinedInSpite(t *testing.T, c *Cluster, m *Member, want []string) {
	t.Helper()
	ctx := within(t)
	defer func() { check(t, m.Kill(ctx)) }()
	check(t, c.Invite(ctx, m))
	check(t, m.Start())
	check(t, Until(ctx, "a death", func() (bool, error) { return dead(m), nil }))
	check(t, Until(ctx, "the process to be gone", m.gone))
	check(t, m.Start())
	check(t, m.AwaitReady(ctx))
	check(t, c.AwaitVoter(ctx, m))
	check(t, Until(ctx, "one generation with the staged archive", func() (bool, error) {
		return slices.Equal(bases(archives(t, m)), bases(want)), nil
	}))
}

// bases are the file names at the end of paths.
func bases(paths []string) []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return names
}

// leave takes m out of the cluster and its directory away.
func leave(t *testing.T, c *Cluster, m *Member) {
	t.Helper()
	ctx := within(t)
	peers, err := c.Peers(ctx, c.Members[0])
	check(t, err)
	for _, p := range peers {
		if p.Name == m.Name {
			a, err := c.Do(ctx, c.Members[0], Request{Method: "DELETE", Path: "/api/v3/system/consensus/node/" + p.ConsensusID})
			answered(t, a, err, http.StatusOK)
		}
	}
	check(t, os.RemoveAll(m.Dir))
}

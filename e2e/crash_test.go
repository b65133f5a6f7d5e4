package e2e

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The builds that can be told to die.
var (
	crash100 = Build{Version: "1.0.0", Tags: "crash"}
	crash110 = Build{Version: "1.1.0", Tags: "crash,era"}
)

// kill is one death: at a crash point, before or after its effect, of the member
// that leads when the upgrade starts or of one that follows.
type kill struct {
	point string
	when  string
	role  string
}

// dice is what the seed chooses for one run.
type dice struct{ leader, follower int }

// leads chooses who leads. A leader that dies is the last in the order of the
// plan, so that another member waits for its turn when it is dead.
func leads(k kill, random *rand.Rand) int {
	if k.role == "leader" {
		return 2
	}
	return random.IntN(3)
}

func (k kill) String() string { return k.point + "/" + k.when + "/" + k.role }

// points are the crash points whose names begin with install-, or the others.
func points(t *testing.T, install bool) (some []string) {
	t.Helper()
	out := must[string](t)(output(t.Context(), "", nil, filepath.Join(binaries(t, crash100), "theseusd"), "crash-points"))
	for _, name := range strings.Fields(out) {
		if strings.HasPrefix(name, "install-") == install {
			some = append(some, name)
		}
	}
	if len(some) == 0 {
		t.Fatalf("there are no crash points of that kind: %q", out)
	}
	return some
}

// kills are a death at each point. Whether before or after its effect and who dies,
// where not only a leader passes it, is chosen anew in every run: over the runs it
// is all of them, and in those of chaos.
func kills(t *testing.T, random *rand.Rand) (all []kill) {
	t.Helper()
	for _, point := range points(t, false) {
		k := kill{point, []string{"before", "after"}[random.IntN(2)], []string{"follower", "leader"}[random.IntN(2)]}
		if point == "settle" || point == "transfer" {
			k.role = "leader"
		}
		all = append(all, k)
	}
	return all
}

// seed chooses who leads, who follows and who receives; the environment can set
// it again.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	s := rand.Uint64()
	if text := os.Getenv("SEED"); text != "" {
		s = must[uint64](t)(strconv.ParseUint(text, 10, 64))
	}
	t.Logf("SEED=%d", s)
	return rand.New(rand.NewPCG(s, s))
}

func TestAGoodBuildKilledOnceAnywhereFinishesUnaided(t *testing.T) {
	t.Parallel()
	random := seed(t)
	var mu sync.Mutex // held for reached and ran
	reached, ran := map[string]bool{}, 0
	all := kills(t, random)
	t.Run("kill", func(t *testing.T) {
		for _, k := range all {
			pick := dice{leader: leads(k, random), follower: random.IntN(2)}
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				died := killedOnce(t, k, pick)
				mu.Lock()
				defer mu.Unlock()
				ran++
				reached[k.point+":"+k.when] = reached[k.point+":"+k.when] || died
			})
		}
	})
	for point, yes := range reached {
		if !yes && ran == len(all) {
			t.Errorf("no run reached the crash point %s", point)
		}
	}
}

// killedOnce runs an upgrade in which one member dies, and says whether it did:
// a point that only a leader passes is not reached on a follower.
func killedOnce(t *testing.T, k kill, pick dice) (died bool) {
	c := newCluster(t, func(p *Plan) { p.Bin, p.Prepare = binaries(t, crash100), mortal(k) })
	ctx := within(t)
	victim := c.Members[pick.leader]
	if pick.leader != 0 {
		check(t, c.Transfer(ctx, victim))
	}
	if k.role == "follower" {
		victim = followers(t, c)[pick.follower]
	}
	before := must[Snapshot](t)(c.Look(ctx))
	survivors := slices.DeleteFunc(slices.Clone(c.Members), func(m *Member) bool { return m == victim })
	load := must[*Load](t)(c.StartLoad(ctx, lookEvery))
	check(t, c.Staged(ctx, survivors[pick.follower], archive(t, crash110)))
	check(t, os.Mkdir(filepath.Dir(deathNote(victim)), 0o755))
	watch := c.Watch(ctx)
	revived := c.revive(ctx, victim, survivors)

	check(t, c.Run(ctx, survivors[pick.follower], quick))
	end := followed(t, c)

	died, err := revived()
	check(t, err)
	check(t, Until(ctx, "the cluster to be whole", func() (bool, error) { s, err := c.Look(ctx); return s.Leader != "", err }))
	load.Stop()
	if _, two := watch.Stop(); len(two) != 0 {
		t.Errorf("two members were out at once: %v", two)
	}
	if end.Status != "finished" {
		t.Errorf("the upgrade ended %+v", end)
	}
	if err := load.Lost(ctx, survivors[0]); err != nil {
		t.Error(err)
	}
	runs(t, c, before, crash110, anyPID)
	return died
}

// deathNote is where a process writes that it dies at a crash point. It dies
// only if it can, and once: the directory is made when its time has come.
func deathNote(m *Member) string { return filepath.Join(m.Dir, "crash", "note") }

// mortal tells every member where to die; a deathNote's directory says who does.
func mortal(k kill) func(*Member) error {
	return func(m *Member) error {
		m.Env = append(m.Env, "THESEUS_CRASH="+k.point+":"+k.when, "THESEUS_CRASH_LOG="+deathNote(m))
		return nil
	}
}

// temptation is how many times the members that are left are looked at before
// the one that died is started again: time to do what they should not.
const temptation = 20

// revive starts victim again when it has died and the others have had a leader
// for a while. Its watcher may be faster. The answer ends the wait and says
// whether the member died.
func (c *Cluster) revive(ctx context.Context, victim *Member, survivors []*Member) func() (died bool, err error) {
	waiting, stop := context.WithCancel(ctx)
	var err error
	var done sync.WaitGroup
	done.Go(func() {
		if Until(waiting, "a death", func() (bool, error) { return dead(victim), nil }) != nil {
			return
		}
		led := 0
		err = Until(ctx, "a leader of those left", func() (bool, error) {
			_, err := c.State(ctx, survivors[0])
			if err == nil {
				led++
			}
			return led == temptation, err
		})
		if err == nil {
			err = victim.Start()
		}
	})
	return func() (bool, error) {
		stop()
		done.Wait()
		_, noted := os.Stat(deathNote(victim))
		return !errors.Is(noted, fs.ErrNotExist), err
	}
}

func dead(m *Member) bool {
	_, err := os.Stat(deathNote(m))
	return err == nil
}

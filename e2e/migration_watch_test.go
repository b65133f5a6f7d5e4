package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

const progressPath = "/api/v3/system/upgrade/progress"

// trace is what the members said of how far a migration is, look by look.
type trace struct {
	cluster *Cluster
	done    atomic.Int64 // at the last look

	cancel  context.CancelFunc
	wait    sync.WaitGroup
	reports []model.MigrationReport // owned by the goroutine that looks, until the end
}

// startTrace looks until the trace is stopped. It asks the members in turn: one
// may be away.
func (c *Cluster) startTrace(ctx context.Context) *trace {
	tr := &trace{cluster: c}
	ctx, tr.cancel = context.WithCancel(ctx)
	tr.wait.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			tr.look(ctx, c.Members[n%len(c.Members)])
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return tr
}

func (tr *trace) look(ctx context.Context, m *Member) {
	ctx, cancel := context.WithTimeout(ctx, staleAfter)
	defer cancel()
	var r model.MigrationReport
	if tr.cluster.Get(ctx, m, progressPath+"?consistent=true", &r) == nil {
		tr.reports = append(tr.reports, r)
		tr.done.Store(r.Done)
	}
}

// stop ends the trace and checks that it never went back by more than one
// checkpoint, and that the numbers of each look agree.
func (tr *trace) stop(t *testing.T) {
	t.Helper()
	tr.cancel()
	tr.wait.Wait()
	var furthest int64
	states := map[string]int{}
	for _, r := range tr.reports {
		states[r.State]++
		furthest = max(furthest, r.Done)
		if r.Done < furthest-itemsPerCheckpoint {
			t.Errorf("after %d items were done it says %+v", furthest, r)
		}
		if r.Total != 0 && r.Total != allItems || r.Done > allItems || r.Percent < 0 || r.Percent > 100 {
			t.Errorf("it says %+v", r)
		}
		if r.Percent == 100 && r.State != "done" && r.State != "completed" {
			t.Errorf("before the end it says %+v", r)
		}
	}
	if states["running"] == 0 || furthest < itemsPerCheckpoint {
		t.Errorf("it was seen in the states %v, at %d at most", states, furthest)
	}
	t.Logf("looked %d times, at the states %v", len(tr.reports), states)
}

// progress is what m says of how far the migration is.
func progress(t *testing.T, c *Cluster, m *Member) (r model.MigrationReport) {
	t.Helper()
	check(t, c.Get(within(t), m, progressPath+"?consistent=true", &r))
	return r
}

// awaitMigration waits until the newest job of a migration is as fits says.
func awaitMigration(t *testing.T, c *Cluster, m *Member, name, what string, fits func(model.Job) bool) (found model.Job) {
	t.Helper()
	ctx := within(t)
	err := Until(ctx, what, func() (bool, error) {
		var all []model.Job
		if err := c.Get(ctx, m, "/api/v3/jobs", &all); err != nil {
			return false, err
		}
		for _, j := range all { // the newest first
			if j.Action == name {
				found = j
				return fits(j), nil
			}
		}
		return false, fmt.Errorf("there is no job of %s", name)
	})
	if err != nil {
		t.Fatalf("%v; it is %+v", err, found)
	}
	return found
}

// children are the processes that run a migration for m.
func children(t *testing.T, m *Member) (pids []string) {
	t.Helper()
	environs := must[[]string](t)(filepath.Glob("/proc/[0-9]*/environ"))
	for _, path := range environs {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		env := "\x00" + string(raw)
		if strings.Contains(env, "\x00THESEUS_MIGRATION=") && strings.Contains(env, "\x00THESEUS_ENDPOINT="+m.Endpoint()+"\x00") {
			pids = append(pids, path)
		}
	}
	return pids
}

// childless waits until no migration runs for m.
func childless(t *testing.T, m *Member) {
	t.Helper()
	check(t, Until(within(t), "the migration of "+m.Name+" to be gone", func() (bool, error) { return len(children(t, m)) == 0, nil }))
}

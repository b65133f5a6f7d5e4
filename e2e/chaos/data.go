package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/theseusd/theseus/e2e"
	"github.com/theseusd/theseus/model"
)

// What a migration moves: so many profiles of so many items each, and at most so
// many items a second, for there to be a moment to strike.
const (
	itemProfiles    = 50
	itemsPerProfile = 10
	itemsPerSecond  = 150
)

// drawData harms a cluster while its data is moved.
func drawData(l *lab, r *rand.Rand, n int, s *scenario) {
	mode, fails := one(r, []string{model.ModeComplete, model.ModeBackground}), r.IntN(2)
	s.moves = fmt.Sprintf("item-form-%d", fails)
	s.options = strings.Replace(s.options, "}", fmt.Sprintf(`,"mode":%q,"throttle":%d}`, mode, itemsPerSecond), 1)
	after, w := between(r, 0, 4*time.Second), who{leads: r.IntN(3) > 0, nth: r.IntN(size - 1)}
	at, what := moment{moving: true, after: after}, ""
	switch r.IntN(3) {
	case 0:
		rest := between(r, 0, 2*time.Second)
		what, s.strike = fmt.Sprintf("%s killed, back after %s", w, rest), []strike{killOne(at, w, rest)}
	case 1:
		long := between(r, 1500*time.Millisecond, 6*time.Second)
		what, s.strike = fmt.Sprintf("%s stopped for %s", w, long), []strike{freeze(at, w, long)}
	case 2:
		c, long := one(r, cuts()), between(r, 300*time.Millisecond, 6*time.Second)
		what, s.strike = fmt.Sprintf("%s %s for %s", w, c, long), []strike{partition(at, w, c, long)}
	}
	s.what = fmt.Sprintf("mode %s, %d attempts fail, %s %s", mode, fails, what, at)
}

// killOne kills the daemon of a member, but not its watcher.
func killOne(at moment, w who, rest time.Duration) strike {
	return func(ctx context.Context, t *trial) error {
		if !at.await(ctx, t) {
			return nil
		}
		return kill(moment{}, []int{t.net.of(w.find(ctx, t))}, false, rest)(ctx, t)
	}
}

// moving says whether data is moved just now, or was.
func (t *trial) moving(ctx context.Context) bool {
	for _, m := range t.c.Members {
		ask, cancel := context.WithTimeout(ctx, askFor)
		var r model.MigrationReport
		err := t.c.Get(ask, m, "/api/v3/system/upgrade/progress", &r)
		cancel()
		if err == nil && (r.State == "running" || r.State == "done" || r.State == "completed") {
			return true
		}
	}
	return false
}

func itemProfile(i int) string { return fmt.Sprintf("item-%02d", i) }

// seed makes the items, in their old form.
func (t *trial) seed(ctx context.Context) error {
	if t.moves == "" {
		return nil
	}
	conn, err := e2e.Dial(ctx, t.c.Members[0].API, t.c.CA)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range itemProfiles {
		params := map[string]any{}
		for k := range itemsPerProfile {
			params[fmt.Sprintf("k%d", k)] = map[string]int{"form": 1, "n": k, "moves": 0}
		}
		raw, err := json.Marshal(map[string]any{"Name": itemProfile(i), "Params": params})
		if err != nil {
			return err
		}
		a, err := conn.Do(ctx, e2e.Text("POST", "/api/v3/profiles", t.c.Auth, string(raw)))
		if err == nil && a.Status != http.StatusCreated {
			err = fmt.Errorf("%d %.200s", a.Status, a.Body)
		}
		if err != nil {
			return fmt.Errorf("create %s: %w", itemProfile(i), err)
		}
	}
	return nil
}

// movedOnce: when the upgrade is through, every item was moved, and once.
func (t *trial) movedOnce(ctx context.Context, outcome string) error {
	if t.moves == "" || !strings.HasSuffix(outcome, "finished") {
		return nil
	}
	for i := range itemProfiles {
		var params map[string]struct {
			Form, Moves int
		}
		if err := t.c.Get(ctx, t.c.Members[i%size], "/api/v3/profiles/"+itemProfile(i)+"/params?consistent=true", &params); err != nil {
			return err
		}
		for key, item := range params {
			if item.Form != 2 || item.Moves != 1 {
				return fmt.Errorf("%s of %s is %+v: want it moved, and once", key, itemProfile(i), item)
			}
		}
		if len(params) != itemsPerProfile {
			return fmt.Errorf("%s has %d items", itemProfile(i), len(params))
		}
	}
	return nil
}

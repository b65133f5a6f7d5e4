package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is migrated: so many profiles of so many items each.
const (
	itemProfiles    = 1000
	itemsPerProfile = 100
	allItems        = itemProfiles * itemsPerProfile
	// itemsPerCheckpoint is how many the migration moves at once.
	itemsPerCheckpoint = 1000
)

// item is a parameter in the old form, where N is a number, or in the new one,
// where it is a text.
type item struct {
	Form  int `json:"form"`
	N     any `json:"n"`
	Moves int `json:"moves"`
	Seen  int `json:"seen,omitempty"` // what an editor wrote last
}

func itemProfile(i int) string { return fmt.Sprintf("item-%04d", i) }
func itemKey(j int) string     { return fmt.Sprintf("k%02d", j) }

// seeded puts all items into the cluster, in the old form.
func seeded(t *testing.T, c *Cluster) {
	t.Helper()
	var seeds sync.WaitGroup
	errs := make([]error, 2*len(c.Members))
	for i := range errs {
		seeds.Go(func() { errs[i] = c.seed(within(t), c.Members[i%len(c.Members)], i, len(errs)) })
	}
	seeds.Wait()
	check(t, errors.Join(errs...))
}

// seed creates every step-th profile through m over one connection.
func (c *Cluster) seed(ctx context.Context, m *Member, first, step int) error {
	conn, err := Dial(ctx, m.API, c.CA)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := first; i < itemProfiles; i += step {
		params := map[string]item{}
		for j := range itemsPerProfile {
			params[itemKey(j)] = item{Form: 1, N: i*itemsPerProfile + j}
		}
		raw, err := json.Marshal(map[string]any{"Name": itemProfile(i), "Params": params})
		if err != nil {
			return err
		}
		a, err := conn.Do(ctx, Text("POST", "/api/v3/profiles", c.Auth, string(raw)))
		if err == nil && a.Status != http.StatusCreated {
			err = unexpected(a)
		}
		if err != nil {
			return fmt.Errorf("create %s: %w", itemProfile(i), err)
		}
	}
	return nil
}

// items are all items by profile and key, read consistently through m. Each is
// what it was made as.
func items(t *testing.T, c *Cluster, m *Member) map[string]item {
	t.Helper()
	var profiles []struct {
		Name   string
		Params map[string]json.RawMessage
	}
	check(t, c.Get(within(t), m, "/api/v3/profiles?consistent=true", &profiles))
	all := map[string]item{}
	for _, p := range profiles {
		for key, raw := range p.Params {
			var one item
			if strings.HasPrefix(p.Name, "item-") {
				check(t, json.Unmarshal(raw, &one))
				all[p.Name+"/"+key] = one
			}
		}
	}
	intact(t, all)
	return all
}

// intact checks that all items are there and hold the number they were made with.
func intact(t *testing.T, all map[string]item) {
	t.Helper()
	wrong := 0
	for i := range itemProfiles {
		for j := range itemsPerProfile {
			n := i*itemsPerProfile + j
			one := all[itemProfile(i)+"/"+itemKey(j)]
			if old, is := one.N.(float64); one.Form == 1 && one.Moves == 0 && is && int(old) == n {
				continue
			}
			if one.Form == 2 && one.Moves == 1 && one.N == fmt.Sprint(n) {
				continue
			}
			if wrong++; wrong <= 10 {
				t.Errorf("item %d of profile %d is %+v", j, i, one)
			}
		}
	}
	if wrong > 0 || len(all) != allItems {
		t.Errorf("%d of %d items are not as they have to be", wrong, len(all))
	}
}

// movedOnce checks that every item was moved exactly once.
func movedOnce(t *testing.T, c *Cluster, m *Member) map[string]item {
	t.Helper()
	all := items(t, c, m)
	if n := inForm(all, 2); n != allItems {
		t.Errorf("%d of %d items were moved", n, allItems)
	}
	return all
}

func inForm(all map[string]item, form int) (n int) {
	for _, one := range all {
		if one.Form == form {
			n++
		}
	}
	return n
}

// migrating is Workshop.Migrating with the key that members trust.
func migrating(t *testing.T, b Build, names ...string) (path string) {
	t.Helper()
	return must[string](t)(shop.Migrating(t.Context(), cli(t), b, key(t, "release"), names...))
}

// editor is a user who writes to items that are about to be moved.
type editor struct {
	cluster *Cluster
	near    *atomic.Int64 // how many items are moved

	acked map[string]int // what was acknowledged last, by profile and key
	sent  map[string]int // what was sent last
	// How many edits were taken, and how many were not as somebody was faster.
	taken, faster int
	odd           []error // answers that no edit may get
}

// startEditor lets an editor work until stop is called.
func (c *Cluster) startEditor(ctx context.Context, near *atomic.Int64) (e *editor, stop func()) {
	e = &editor{cluster: c, near: near, acked: map[string]int{}, sent: map[string]int{}}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(lookEvery / 2)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			e.edit(context.WithoutCancel(ctx), n)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return e, func() {
		cancel()
		done.Wait()
	}
}

// edit changes one item through one of the members. A member may be away.
func (e *editor) edit(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	m := e.cluster.Members[n%len(e.cluster.Members)]
	name, key := itemProfile((int(e.near.Load())/itemsPerProfile+n%20)%itemProfiles), itemKey(n%itemsPerProfile)
	var was map[string]any
	if e.cluster.Get(ctx, m, "/api/v3/profiles/"+name+"/params/"+key, &was) != nil {
		return
	}
	now := map[string]any{"seen": n + 1}
	for field, value := range was {
		if field != "seen" {
			now[field] = value
		}
	}
	raw, err := json.Marshal(map[string]any{"Changes": []any{map[string]any{"Profile": name, "Key": key, "Was": was, "Now": now}}})
	if err != nil {
		e.odd = append(e.odd, err)
		return
	}
	e.sent[name+"/"+key] = n + 1
	a, err := e.cluster.Do(ctx, m, Text("PATCH", "/api/v3/profiles", "", string(raw)))
	switch {
	case err != nil || a.Status == http.StatusServiceUnavailable:
	case a.Status == http.StatusOK:
		e.taken++
		e.acked[name+"/"+key] = n + 1
	case a.Status == http.StatusConflict:
		e.faster++
	default:
		e.odd = append(e.odd, unexpected(a))
	}
}

// lost is an error unless all holds the edits that were acknowledged.
func (e *editor) lost(all map[string]item) error {
	errs := e.odd
	for name, acked := range e.acked {
		if got := all[name].Seen; got != acked && got != e.sent[name] {
			errs = append(errs, fmt.Errorf("item %s: edit %d was acknowledged, it holds %d", name, acked, got))
		}
	}
	return errors.Join(errs...)
}

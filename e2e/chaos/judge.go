package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// tracking is the profile that is rendered from the record: members of two
// versions may word it differently.
const tracking = "rackn-system-upgrade-tracking"

// judge says what is not as promised. A run that did not get to its end is only
// asked whether anything was lost.
func (t *trial) judge(ctx context.Context, outcome string, whole bool, r *result) (wrong []string) {
	last, two := t.w.end()
	wrong = append(wrong, two...)
	complain := func(err error) {
		if err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	err := t.ready(ctx)
	complain(err)
	ops := t.l.end()
	if err == nil {
		complain(t.l.last(ctx))
		ops = t.l.end()
	}
	bad, open := linearizable(ops)
	if !t.lossy {
		wrong = append(wrong, bad...)
	}
	r.requests, r.open = len(ops), len(open)
	if err != nil || !whole {
		return wrong
	}
	complain(t.tidied(last, outcome))
	complain(t.runsAllowed(ctx, outcome))
	complain(t.movedOnce(ctx, outcome))
	complain(t.same(ctx))
	return wrong
}

// ready waits until every member serves. One that we harmed is started again
// when it is dead; the others have nobody who would.
func (t *trial) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, fmt.Errorf("not within a minute"))
	defer cancel()
	for _, m := range t.c.Members {
		err := e2e.Until(ctx, m.Name+" to be ready", func() (bool, error) {
			if _, runs := m.Daemon(); !runs && t.harmed(m.Name) {
				t.note("start %s, which is dead", m.Name)
				if err := m.Start(); err != nil {
					return false, err
				}
			}
			ask, cancel := context.WithTimeout(ctx, askFor)
			defer cancel()
			return m.Ready(ask)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tidied: an upgrade that ended leaves nobody on the way, and says why it failed.
func (t *trial) tidied(s e2e.Status, outcome string) error {
	for _, n := range s.Nodes {
		if slices.Contains(outSteps, n.Step) && outcome != "cleared" {
			return fmt.Errorf("the upgrade ended %s and leaves %s at %s", outcome, n.Name, n.Step)
		}
	}
	if s.Status == "failed" && s.Final == "" {
		return fmt.Errorf("it failed and does not say why")
	}
	return nil
}

// runsAllowed checks what the members run against the outcome.
func (t *trial) runsAllowed(ctx context.Context, outcome string) error {
	switch {
	case strings.HasSuffix(outcome, "finished"):
		return t.run(ctx, outcome, t.good())
	case t.verdict == halts:
		return t.run(ctx, outcome, t.old, t.next)
	}
	return t.run(ctx, outcome, t.old, t.good())
}

// run checks that every member runs one of builds: the kernel and the member say so.
func (t *trial) run(ctx context.Context, outcome string, builds ...e2e.Build) error {
	var images []string
	for _, b := range builds {
		image, err := t.lab.image(ctx, b)
		if err != nil {
			return err
		}
		images = append(images, image)
	}
	return e2e.Until(ctx, "every member to be seen", func() (bool, error) {
		s, err := t.c.Look(ctx)
		if err != nil || len(s.Members) != size {
			return false, err
		}
		for name, r := range s.Members {
			if !slices.Contains(images, r.Image) || r.Says != r.Image {
				return false, fmt.Errorf("the outcome is %s, and %s runs %s (%s), which says %s", outcome, name, r.Version, r.Image, r.Says)
			}
		}
		return true, nil
	})
}

// same checks that all members hold the same records.
func (t *trial) same(ctx context.Context) error {
	return e2e.Until(ctx, "all members to hold the same", func() (bool, error) {
		var first string
		for i, m := range t.c.Members {
			state, err := t.records(ctx, m)
			if err != nil {
				return false, err
			}
			if i == 0 {
				first = state
			}
			if state != first {
				return false, fmt.Errorf("%s holds other records than %s: %s and %s", m.Name, t.c.Members[0].Name, state, first)
			}
		}
		return true, nil
	})
}

func (t *trial) records(ctx context.Context, m *e2e.Member) (string, error) {
	raw, err := t.c.State(ctx, m)
	if err != nil {
		return "", err
	}
	var all []map[string]any
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(p map[string]any) bool { return p["Name"] == tracking })
	kept, err := json.Marshal(all)
	return string(kept), err
}

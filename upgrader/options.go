package upgrader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/policy"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// runRequest is the body of a run.
type runRequest struct {
	Deadline  *string  `json:"deadline"`
	Probation *string  `json:"probation"`
	At        string   `json:"at"`
	Window    string   `json:"window"`
	Exclude   []string `json:"exclude"`
	OnFailure string   `json:"onFailure"`
	Mode      string   `json:"mode"`
	Throttle  int64    `json:"throttle"`
	Hold      bool     `json:"hold"`
	HoldAfter int      `json:"holdAfter"`
	Await     *string  `json:"await"`
	Ignore    []string `json:"ignore"`
	Force     bool     `json:"force"`
	Backup    string   `json:"backup"`
}

// order is what an operator asked for, before it is held against the cluster.
type order struct {
	options model.Options // but for Exclude
	at      time.Time     // when to start; zero: at once
	exclude []string      // names or ids; nil: nothing was said of it
}

// farthest is how far ahead a start may be scheduled.
const farthest = 30 * 24 * time.Hour

// parseOrder reads the body of a run; an empty one asks for the defaults.
func parseOrder(body []byte, now time.Time) (order, error) {
	o := order{options: model.Options{Deadline: DefaultDeadline, Probation: DefaultProbation}}
	if len(bytes.TrimSpace(body)) == 0 {
		return o, nil
	}
	var r runRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return o, model.Problemf(model.Malformed, "read the run options as JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, model.Problemf(model.Malformed, "read the run options as JSON: more bytes after the object")
	}
	if err := duration("deadline", r.Deadline, time.Second, &o.options.Deadline); err != nil {
		return o, err
	}
	if err := duration("probation", r.Probation, 0, &o.options.Probation); err != nil {
		return o, err
	}
	if err := duration("await", r.Await, 0, &o.options.Await); err != nil {
		return o, err
	}
	if err := r.care(&o.options); err != nil {
		return o, err
	}
	o.exclude = r.Exclude
	return o, o.when(r, now)
}

// care reads how carefully the run is to go.
func (r runRequest) care(o *model.Options) error {
	switch r.OnFailure {
	case "", "halt":
	case model.OnFailureRollback:
		o.OnFailure = r.OnFailure
	default:
		return model.Problemf(model.Malformed, "run option onFailure: %q is neither halt nor rollback", r.OnFailure)
	}
	for _, name := range r.Ignore {
		if names := preflight.Ignorable(); !slices.Contains(names, name) {
			return model.Problemf(model.Refused, "run option ignore: there is no finding %q that may be ignored; there are %s", name, strings.Join(names, ", "))
		}
		if !slices.Contains(o.Ignore, name) {
			o.Ignore = append(o.Ignore, name)
		}
	}
	if r.HoldAfter < 0 {
		return model.Problemf(model.Malformed, "run option holdAfter: %d is below 0", r.HoldAfter)
	}
	if r.Backup != "" && r.Backup != model.BackupNone {
		return model.Problemf(model.Malformed, "run option backup: %q is not none; left out, one is made before a minor or major upgrade", r.Backup)
	}
	if err := r.pace(o); err != nil {
		return err
	}
	o.Hold, o.HoldAfter, o.Force, o.Backup = r.Hold, r.HoldAfter, r.Force, r.Backup
	return nil
}

// pace reads how data is migrated.
func (r runRequest) pace(o *model.Options) error {
	switch r.Mode {
	case "", model.ModeComplete:
	case model.ModeBackground:
		o.Mode = r.Mode
	default:
		return model.Problemf(model.Malformed, "run option mode: %q is neither complete nor background", r.Mode)
	}
	if r.Throttle < 0 {
		return model.Problemf(model.Malformed, "run option throttle: %d is below 0; it is items a second, and 0 is no limit", r.Throttle)
	}
	o.Throttle = r.Throttle
	return nil
}

// when reads from when on and in which window the run may go. A time that has
// passed is now.
func (o *order) when(r runRequest, now time.Time) error {
	if r.Window != "" {
		if _, err := policy.ParseWindow(r.Window); err != nil {
			return model.Problemf(model.Malformed, "run option window: %v", err)
		}
		o.options.Window = r.Window
	}
	if r.At == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, r.At)
	switch {
	case err != nil:
		return model.Problemf(model.Malformed, "run option at: %v; write it as 2026-11-21T22:00:00Z or 2026-11-21T22:00:00+01:00", err)
	case at.Sub(now) > farthest:
		return model.Problemf(model.Refused, "run option at: %s is more than %d days ahead", r.At, farthest/(24*time.Hour))
	case at.After(now):
		o.at = at.UTC()
	}
	return nil
}

// excluded are the ids of the members that a run leaves out. Nothing said means
// those that the run before left out, or the staging.
func excluded(p picture, said []string) ([]string, error) {
	var ids []string
	if said == nil {
		ids = slices.DeleteFunc(slices.Clone(p.upgrade.Options.Exclude), func(id string) bool { return p.members[id].ID == "" })
	}
	for _, text := range said {
		m, known := p.named(text)
		if !known {
			return nil, model.Problemf(model.Refused, "run option exclude: there is no member %q; `theseus system ha peers` names all", text)
		}
		if !slices.Contains(ids, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

// steady finds, with the numbers, when a restart would leave too few voters to
// write because others are left out and down.
func (u *Upgrader) steady(ctx context.Context, p picture, o model.Options) []model.Finding {
	if len(o.Exclude) == 0 {
		return nil
	}
	voters, gone := u.Cluster.Voters(), p
	gone.members = maps.Clone(p.members)
	maps.DeleteFunc(gone.members, func(id string, _ model.Member) bool {
		return !slices.Contains(o.Exclude, id) || !slices.Contains(voters, id)
	})
	var down []string
	var mu sync.Mutex // held for down
	u.everyone(ctx, gone, func(ctx context.Context, m model.Member) []string {
		if u.Cluster.Call(ctx, m.ID, pathWell, struct{}{}, &well{}) != nil {
			mu.Lock()
			defer mu.Unlock()
			down = append(down, m.Name)
		}
		return nil
	})
	slices.Sort(down)
	if len(down) == 0 {
		return nil
	}
	short := shortOf(len(voters), "each of the others", down)
	if short == "" {
		return nil
	}
	return []model.Finding{{Name: preflight.Quorum, Severity: model.Soft, What: short, Remedy: fmt.Sprintf(
		"start %s; or remove it with `theseus system ha remove %s`; or accept with --ignore quorum that nothing can be written while a member restarts",
		strings.Join(down, ", "), down[0])}}
}

// quorate says that enough voters take part in a run without the excluded ones.
func quorate(p picture, voters, exclude []string) error {
	left, quorum := 0, len(voters)/2+1
	for _, id := range voters {
		if !slices.Contains(exclude, id) {
			left++
		}
	}
	if len(exclude) == 0 || left >= quorum {
		return nil
	}
	return model.Problemf(model.Refused, "run option exclude: without %s there are %d of %d voters left, and a quorum is %d: leave fewer out",
		strings.Join(names(p, exclude), ", "), left, len(voters), quorum)
}

// named is the member of that id or name.
func (p picture) named(text string) (model.Member, bool) {
	if m, known := p.members[text]; known {
		return m, true
	}
	for _, m := range p.members {
		if m.Name == text {
			return m, true
		}
	}
	return model.Member{}, false
}

func duration(field string, text *string, least time.Duration, into *time.Duration) error {
	if text == nil {
		return nil
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return model.Problemf(model.Malformed, "run option %s: %v; write it as 1h, 90s or 500ms", field, err)
	}
	if d < least || d > 7*24*time.Hour {
		return model.Problemf(model.Malformed, "run option %s: %s is not between %s and 168h", field, d, least)
	}
	*into = d
	return nil
}

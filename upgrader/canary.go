package upgrader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// The first member that is done is the canary: that its process lives does not
// mean that it works.
const (
	pathCanaryWrite = "/upgrade/canary/write"
	pathCanaryRead  = "/upgrade/canary/read"
	pathShapes      = "/upgrade/shapes"
)

// canary has the member write, has another one read that, and compares the shapes
// of what the two versions answer. Findings are what does not work; the error says
// that it could not be found out, which is tried again.
func (u *Upgrader) canary(ctx context.Context, p picture, member string) (findings []string, err error) {
	findings, err = u.writeThrough(ctx, p, member)
	if err != nil {
		return nil, err
	}
	changed, err := u.compareShapes(ctx, p, member)
	return append(findings, changed...), err
}

// writeThrough finds a write lost only if nothing at all was written: that of a
// leader which has been replaced may come in between.
func (u *Upgrader) writeThrough(ctx context.Context, p picture, member string) (findings []string, err error) {
	c, through := model.Canary{Member: member, Nonce: rand.Text()}, p.members[member].Name
	_, before, err := u.readElsewhere(ctx, p, member)
	if err != nil {
		return nil, fmt.Errorf("read before the write through %s: %w", through, err)
	}
	if err := u.ask(ctx, member, pathCanaryWrite, c, nil); err != nil {
		return nil, fmt.Errorf("write through %s: %w", through, err)
	}
	reader, after, err := u.readElsewhere(ctx, p, member)
	if err != nil {
		return nil, fmt.Errorf("read what was written through %s: %w", through, err)
	}
	switch after {
	case c:
		return nil, nil
	case before:
		return []string{fmt.Sprintf("%s answered a write that is not read through %s: its writes are lost", through, p.members[reader].Name)}, nil
	}
	return nil, fmt.Errorf("read what was written through %s: another write came in between", through)
}

func (u *Upgrader) ask(ctx context.Context, member, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	return u.Cluster.Call(ctx, member, path, in, out)
}

// readElsewhere reads through whichever of the other members answers first, or
// through this one if it is the only one.
func (u *Upgrader) readElsewhere(ctx context.Context, p picture, canary string) (reader string, c model.Canary, err error) {
	type answer struct {
		from string
		read model.Canary
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := u.readers(p, canary)
	answers := make(chan answer, len(asked))
	for _, id := range asked {
		go func() {
			a := answer{from: id}
			a.err = u.ask(ctx, id, pathCanaryRead, struct{}{}, &a.read)
			answers <- a
		}()
	}
	var errs []error
	for range asked {
		a := <-answers
		if a.err == nil {
			return a.from, a.read, nil
		}
		errs = append(errs, fmt.Errorf("through %s: %w", p.members[a.from].Name, a.err))
	}
	return "", c, errors.Join(errs...)
}

// readers are the members to read through: all that take part but the canary,
// which has nobody else in a cluster of one.
func (u *Upgrader) readers(p picture, canary string) (ids []string) {
	for _, row := range p.upgrade.Members {
		if included(row) && row.ID != canary {
			ids = append(ids, row.ID)
		}
	}
	if len(ids) == 0 {
		return []string{canary}
	}
	return ids
}

func (u *Upgrader) answerCanaryWrite(ctx context.Context, in json.RawMessage) (any, error) {
	var c model.Canary
	if err := json.Unmarshal(in, &c); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	a, err := u.Cluster.Propose(ctx, store.New(store.OpCanaryWrite, store.CanaryWrite{Canary: c}))
	if err == nil {
		err = a.Err()
	}
	return struct{}{}, err
}

func (u *Upgrader) answerCanaryRead(ctx context.Context, _ json.RawMessage) (any, error) {
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return nil, err
	}
	var c model.Canary
	err := u.Store.View(func(v *store.View) (err error) {
		c, _, err = v.Canary()
		return err
	})
	return c, err
}

func (u *Upgrader) answerShapes(ctx context.Context, _ json.RawMessage) (any, error) {
	if u.Shapes == nil {
		return map[string]string{}, nil
	}
	return u.Shapes(ctx)
}

// compareShapes finds what this version answers and the other one does not, or
// not in the same type. More is no finding.
func (u *Upgrader) compareShapes(ctx context.Context, p picture, member string) (findings []string, err error) {
	if u.Shapes == nil || p.members[member].Image == u.Self.Image {
		return nil, nil
	}
	var theirs map[string]string
	if err := u.ask(ctx, member, pathShapes, struct{}{}, &theirs); err != nil {
		return nil, fmt.Errorf("ask %s for the shapes of its API: %w", p.members[member].Name, err)
	}
	ours, err := u.Shapes(ctx)
	if err != nil {
		return nil, err
	}
	for _, gone := range lostShapes(ours, theirs) {
		findings = append(findings, fmt.Sprintf("%s: the API of %s is not what clients of %s know: %s",
			p.members[member].Name, p.members[member].Version, u.Self.Version, gone))
	}
	return findings, nil
}

// lostShapes says where theirs has less than ours, or another type. What ours
// shows as null or as an empty list tells nothing, nor does theirs.
func lostShapes(ours, theirs map[string]string) (lost []string) {
	for at, kind := range ours {
		got, there := theirs[at]
		switch {
		case kind == "null" || got == "null" || got == kind:
		case !there && hollow(theirs, at):
		case !there:
			lost = append(lost, at+" is gone")
		default:
			lost = append(lost, fmt.Sprintf("%s is a %s, not a %s", at, got, kind))
		}
	}
	slices.Sort(lost)
	return lost
}

// hollow says whether what holds at in theirs is null, or a list of nothing.
func hollow(theirs map[string]string, at string) bool {
	for cut := strings.LastIndexAny(at, ".["); cut > 0; cut = strings.LastIndexAny(at[:cut], ".[") {
		kind, there := theirs[at[:cut]]
		list := there && kind == "list" && strings.HasPrefix(at[cut:], "[]")
		if _, some := theirs[at[:cut]+"[]"]; kind == "null" && there || list && !some {
			return true
		}
		if there {
			return false
		}
	}
	return false
}

package upgrader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// completeRequest is the body of a completion.
type completeRequest struct {
	Without []string `json:"without"` // names or ids of members not to wait for
}

// Complete moves the cluster version of an upgrade that has finished while some
// members have not followed. By itself that waits for every member; an operator
// may decide otherwise by name: who is named follows when it is back, and the
// way back closes now. Completed already is no error.
func (u *Upgrader) Complete(ctx context.Context, body []byte, by string) error {
	without, err := parseCompletion(body)
	if err != nil {
		return err
	}
	p, err := u.look()
	if err != nil {
		return err
	}
	up := p.upgrade
	switch {
	case up == nil:
		return nothingStaged()
	case up.Phase != model.Finished:
		return model.Problemf(model.Conflict, "the upgrade to %s is %s, and only one that has finished is completed: %s", up.Archive.Version, up.Phase, statusHint)
	case up.Completed:
		return nil
	}
	ids, err := u.leave(p, without)
	if err != nil {
		return err
	}
	if err := u.dataReady(ctx, p); err != nil {
		return err
	}
	note := fmt.Sprintf("completed by %s: cluster version %s -> %s", by, p.cluster.Version, up.Archive.Version)
	if len(ids) > 0 {
		note += "; without " + strings.Join(names(p, ids), ", ")
	}
	err = u.propose(ctx, store.OpUpgradeComplete, store.UpgradeComplete{ID: up.ID, Version: up.Archive.Version, Without: ids, Note: note})
	if errors.Is(err, store.ErrConflict) {
		return model.Problemf(model.Conflict, "the upgrade moved while it was being completed: %s and try again", statusHint)
	}
	return err
}

func parseCompletion(body []byte) ([]string, error) {
	var r completeRequest
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, model.Problemf(model.Malformed, "read the completion as JSON: %v", err)
	}
	return r.Without, nil
}

// leave are the ids of the members that are named and have not followed. Who has
// not and is not named stands in the way.
func (u *Upgrader) leave(p picture, named []string) (ids []string, err error) {
	var reasons []string
	for _, m := range p.members {
		if m.Image == p.upgrade.Archive.Images[m.Platform] {
			continue
		}
		if !slices.Contains(named, m.Name) && !slices.Contains(named, m.ID) {
			reasons = append(reasons, fmt.Sprintf("%s: runs %s: start it and it follows, remove it with `theseus system ha remove %s`, or complete without it",
				m.Name, m.Version, m.Name))
		}
		ids = append(ids, m.ID)
	}
	for _, name := range named {
		if !slices.ContainsFunc(ids, func(id string) bool { return id == name || p.members[id].Name == name }) {
			reasons = append(reasons, fmt.Sprintf("without %s: there is no such member, or it runs %s already", name, p.upgrade.Archive.Version))
		}
	}
	if len(reasons) > 0 {
		slices.Sort(reasons)
		return nil, &model.Problem{Kind: model.Conflict, Messages: reasons}
	}
	slices.Sort(ids)
	return ids, nil
}

// dataReady says why an upgrade cannot be completed for its data: some has yet to
// be migrated, or this member's final check found some left over, which is then
// migrated first.
func (u *Upgrader) dataReady(ctx context.Context, p picture) error {
	up := p.upgrade
	if names := unfinished(up, model.Expand, model.Migrate); len(names) > 0 {
		return model.Problemf(model.Conflict, "the upgrade to %s waits for %s; `theseus system upgrade progress` shows how far it is", up.Archive.Version, dataText(p, names))
	}
	left, err := u.finalCheck(ctx, up, func() {})
	if err != nil || len(left) == 0 {
		return err
	}
	if err := u.remigrate(ctx, up, left); err != nil {
		return err
	}
	return &model.Problem{Kind: model.Conflict, Messages: leftText(left)}
}

func leftText(left map[string]string) (all []string) {
	for name, why := range left {
		all = append(all, fmt.Sprintf("the final check of %s: %s; it runs again, complete when it is done: `theseus system upgrade progress`", name, why))
	}
	slices.Sort(all)
	return all
}

// completeData completes by itself what migrated data, once the data was looked at.
func (u *Upgrader) completeData(ctx context.Context, p picture) error {
	left, err := u.finalCheck(ctx, p.upgrade, func() { u.alive(u.within(Complete)) })
	if err != nil {
		return fmt.Errorf("check the migrated data: %w", err)
	}
	if len(left) > 0 {
		return u.remigrate(ctx, p.upgrade, left)
	}
	a := complete(look(p.upgrade, u.seen(p)))
	return ignoreConflict(u.propose(ctx, a.Op, a.Body))
}

package upgrader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// What operators ask for. Each call proposes and returns; the loops do the rest.

const statusHint = "see `theseus system upgrade status`"

func nothingStaged() error {
	return model.Problemf(model.NotFound, "nothing is staged: stage an archive with `theseus system upgrade stage FILE`").
		About("profiles", model.TrackingProfile)
}

// Start begins the staged upgrade, or goes on with a failed one, with the
// options in body. While one is under way it changes nothing and is no error.
func (u *Upgrader) Start(ctx context.Context, body []byte, by string) error {
	o, err := parseOptions(body)
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
	case up.Phase.Status() == "working":
		return nil
	case up.Phase == model.Finished:
		return model.Problemf(model.Conflict, "the upgrade to %s is finished; clear it, then stage another archive", up.Archive.Version)
	case p.cluster.Failed[up.Archive.Digest] != "":
		return model.Problemf(model.Conflict, "this build failed before (%s): clear it and stage another archive", p.cluster.Failed[up.Archive.Digest])
	}
	if err := u.ready(ctx, p); err != nil {
		return err
	}
	verb := "started"
	if up.Runs > 0 {
		verb = "started again"
	}
	err = u.propose(ctx, store.OpUpgradeStart, store.UpgradeStart{
		ID: up.ID, Options: o, Members: plan(p, up),
		Note: fmt.Sprintf("%s by %s: %s -> %s, %s a member, probation %s; completes by itself, and with that closes the way back",
			verb, by, p.cluster.Version, up.Archive.Version, span(o.Deadline), span(o.Probation)),
	})
	if errors.Is(err, store.ErrConflict) {
		return nil // another start was faster, or a stop: status tells
	}
	return err
}

// ready asks every member whether its prerequisites still hold.
func (u *Upgrader) ready(ctx context.Context, p picture) error {
	reasons := u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		var found []string
		if err := u.Cluster.Call(ctx, m.ID, pathReady, readyQuestion{Size: p.upgrade.Archive.Size}, &found); err != nil {
			return []string{unreachable(m, err)}
		}
		return found
	})
	if len(reasons) == 0 {
		return nil
	}
	return &model.Problem{Kind: model.Conflict, Messages: reasons}
}

// Unstage clears the upgrade away, or, while it works, asks it to end after the
// step under way; pending says that this is what happens. A staging under way
// is dropped.
func (u *Upgrader) Unstage(ctx context.Context, by string) (pending bool, err error) {
	p, err := u.look()
	if err != nil {
		return false, err
	}
	if p.staging != nil {
		err := u.propose(ctx, store.OpStageDrop, store.StageRef{ID: p.staging.ID})
		return false, ignoreConflict(err)
	}
	up := p.upgrade
	if up == nil {
		return false, nothingStaged()
	}
	if up.Phase.Status() == "working" {
		err := u.propose(ctx, store.OpUpgradeStop, store.UpgradeRef{ID: up.ID, Note: "stop asked by " + by})
		return true, ignoreConflict(err)
	}
	err = u.propose(ctx, store.OpUpgradeClear, store.UpgradeRef{ID: up.ID})
	if errors.Is(err, store.ErrConflict) {
		return false, model.Problemf(model.Conflict, "the upgrade moved while it was being cleared: %s and try again", statusHint)
	}
	if err != nil {
		return false, err
	}
	return false, u.cleared(ctx)
}

func ignoreConflict(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// cleared returns when the loop has cleared this member's disk of what was unstaged.
func (u *Upgrader) cleared(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	for tick := time.Tick(breath / 20); ; {
		p, err := u.look()
		if err != nil {
			return err
		}
		present, err := u.Store.Archives()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(present, func(d string) bool { return !u.wanted(p, d) }) {
			return nil
		}
		select {
		case <-tick:
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "it is cleared, and its disk is not returned on this member yet; its log says why")
		}
	}
}

// ExecAnswer says how this member stands to its own swap.
type ExecAnswer int

const (
	AlreadyThere ExecAnswer = iota // it runs the staged image
	ItsTurn                        // it goes now
)

// Exec is Digital Rebar's call to one member to upgrade itself. A member acts
// on the record and not on a message, so this only says what the record says.
func (u *Upgrader) Exec() (ExecAnswer, error) {
	p, err := u.look()
	if err != nil {
		return 0, err
	}
	up := p.upgrade
	switch {
	case up == nil:
		return 0, nothingStaged()
	case u.Self.Image == up.Archive.Images[u.Self.Platform]:
		return AlreadyThere, nil
	case up.Turn == nil:
		return 0, model.Problemf(model.Conflict, "it is nobody's turn: the upgrade is %s; %s", up.Phase, statusHint)
	case up.Turn.Member != u.Self.ID:
		return 0, model.Problemf(model.Conflict, "it is the turn of %s", p.members[up.Turn.Member].Name)
	}
	return ItsTurn, nil
}

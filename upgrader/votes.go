package upgrader

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// awaitVotes waits until every member voted yes; the first no ends it, once all
// who can have voted, with every reason.
func (u *Upgrader) awaitVotes(ctx context.Context, id string, limit time.Duration, what string, of func(*model.Staging) map[string]model.Vote) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		changed := u.Store.Changed()
		p, err := u.look()
		if err != nil {
			return err
		}
		if p.staging == nil || p.staging.ID != id {
			return u.outcome(p, id)
		}
		votes := of(p.staging)
		late := silent(p.staging, votes, p.members)
		if len(late) == 0 {
			return verdict(refusals(votes, p.members))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			reasons := refusals(votes, p.members)
			for _, name := range late {
				reasons = append(reasons, fmt.Sprintf("%s: did not %s within %s: is it up? start it; or leave it out with --exclude %s; or remove it with `theseus system ha remove %s`", name, what, limit, name, name))
			}
			return verdict(reasons)
		}
	}
}

func verdict(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	return &model.Problem{Kind: model.Refused, Messages: reasons}
}

// await waits until the staging is over and answers what became of it.
func (u *Upgrader) await(ctx context.Context, id string) error {
	for {
		changed := u.Store.Changed()
		p, err := u.look()
		if err != nil {
			return err
		}
		if p.staging == nil || p.staging.ID != id {
			return u.outcome(p, id)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "the archive was not staged in time; still waiting for: %s",
				strings.Join(silent(p.staging, p.staging.Attests, p.members), ", "))
		}
	}
}

func (u *Upgrader) outcome(p picture, id string) error {
	if p.upgrade != nil && p.upgrade.ID == id {
		return nil
	}
	return model.Problemf(model.Conflict, "the staging was dropped: its uploader was refused, or it was cleared away")
}

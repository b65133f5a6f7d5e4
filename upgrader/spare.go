package upgrader

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

// spareLimit is how long the others may take to say that they can do without this
// member.
const spareLimit = 2 * time.Second

// spared fails, with the numbers, when too few of the other voters answer to write
// while this member is out. They did when the turn was granted; that may be a while
// ago if the leader was lost since. One voter or two never can (S16).
func (u *Upgrader) spared(ctx context.Context, p picture) error {
	voters := u.Cluster.Voters()
	if len(voters) <= 2 || p.cluster.Level == 0 || slices.Contains(p.upgrade.Options.Ignore, model.IgnoreQuorum) || !slices.Contains(voters, u.Self.ID) {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(voters), func(id string) bool { return id == u.Self.ID })
	down := u.unanswered(ctx, p, others, len(voters)/2+1)
	if short := shortOf(len(voters), u.Self.Name, down); short != "" {
		return errors.New("wait before it leaves: " + short)
	}
	return nil
}

// unanswered asks members whether they are well, all at once, and names those that
// had not said so when enough others had, or in time.
func (u *Upgrader) unanswered(ctx context.Context, p picture, ids []string, enough int) (down []string) {
	ctx, cancel := context.WithTimeout(ctx, spareLimit)
	defer cancel()
	type answer struct {
		id  string
		err error
	}
	answers := make(chan answer, len(ids))
	for _, id := range ids {
		go func() { answers <- answer{id, u.Cluster.Call(ctx, id, pathWell, struct{}{}, &well{})} }()
	}
	for range ids {
		a := <-answers
		if a.err != nil {
			down = append(down, p.members[a.id].Name)
		} else if enough--; enough == 0 {
			return nil
		}
	}
	slices.SortFunc(down, strings.Compare)
	return down
}

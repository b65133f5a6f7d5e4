package cluster

import (
	"context"
	"errors"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

type actorKey struct{}

// WithActor says for whom things are done from here on: what of it changes
// something goes into the audit trail.
func WithActor(ctx context.Context, a model.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is for whom things are done, if it is for a person.
func ActorOf(ctx context.Context) (a model.Actor, some bool) {
	a, some = ctx.Value(actorKey{}).(model.Actor)
	return a, some
}

// Note puts a line into the audit trail for what the actor of ctx has done without
// a command. Without an actor, and in a cluster that has no trail yet, it does nothing.
func (n *Node) Note(ctx context.Context, what string) error {
	a, some, err := n.audited(ctx)
	if err != nil || !some {
		return err
	}
	answer, err := n.Propose(ctx, store.NewAct(a, what))
	if err == nil {
		err = answer.Err()
	}
	return err
}

// givenBy is c as a command of the actor of ctx.
func (n *Node) givenBy(ctx context.Context, c store.Command) (store.Command, error) {
	a, some, err := n.audited(ctx)
	if err != nil || !some {
		return c, err
	}
	return c.GivenBy(a), nil
}

// audited is the actor of ctx, if the cluster has an audit trail: members of an
// earlier build could not read it.
func (n *Node) audited(ctx context.Context) (a model.Actor, some bool, err error) {
	if a, some = ActorOf(ctx); !some {
		return a, false, nil
	}
	record, err := n.record()
	if errors.Is(err, store.ErrNotFound) {
		return a, false, nil
	}
	return a, err == nil && store.Gate(store.OpAct, record) == nil, err
}

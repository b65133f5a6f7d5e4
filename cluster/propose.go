package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Propose commits a command, through whoever leads, and returns when it is
// applied here, with its answer. It is held for up to ten seconds while
// leadership moves. The command carries a request id: the same one, proposed
// again, is answered again and not applied again.
func (n *Node) Propose(ctx context.Context, c store.Command) (store.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	if dropped(c) {
		return store.Answer{}, nil
	}
	what := fmt.Sprintf("commit %s", c.Op)
	c, err := n.givenBy(ctx, c)
	if err != nil {
		return store.Answer{}, err
	}
	a, err := n.commit(ctx, what, c.Encode())
	if err != nil {
		return store.Answer{}, err
	}
	if err := n.Store.WaitApplied(ctx, a.Index); err != nil {
		if fault := n.Store.Fault(); fault != nil {
			return a, stopped(fault)
		}
		return a, model.Problemf(model.Unavailable, "%s: it is committed, and not applied on this member in time: %w", what, err)
	}
	return a, nil
}

// ProposeChunk commits a piece of an archive. It does not wait until the piece
// is here. The same piece may be proposed again.
func (n *Node) ProposeChunk(ctx context.Context, c store.Chunk) error {
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	_, err := n.commit(ctx, fmt.Sprintf("commit piece %d of archive %x", c.Number, c.Digest), store.EncodeChunk(c))
	return err
}

func (n *Node) commit(ctx context.Context, what string, data []byte) (a store.Answer, err error) {
	err = n.throughLeader(ctx, what, func(ctx context.Context, leader string) (err error) {
		if leader == n.Self.ID {
			a, err = n.applyHere(ctx, data)
			return err
		}
		return n.calls.post(ctx, leader, pathPropose, data, &a)
	})
	return a, err
}

// applyHere puts an entry into the log, if this member leads.
func (n *Node) applyHere(ctx context.Context, data []byte) (store.Answer, error) {
	if !n.Leading() {
		return store.Answer{}, n.notLeader()
	}
	if err := n.gate(data); err != nil {
		return store.Answer{}, err
	}
	f := n.raft.Apply(data, patience(ctx))
	if err := n.await(ctx, f); err != nil {
		return store.Answer{}, n.passOn(fmt.Errorf("append to the log: %w", err), err)
	}
	a := f.Response().(store.Answer)
	var stop *store.StoppedError
	if errors.As(n.Store.Fault(), &stop) && a.Index >= stop.Index {
		return store.Answer{}, stopped(stop)
	}
	return a, nil
}

// gate lets through what the recorded cluster version allows: an older member
// could not read anything else.
func (n *Node) gate(data []byte) error {
	record, err := n.record()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return n.Store.Gate(data, record)
}

// stopped is what a member whose store stopped answers.
func stopped(fault error) error {
	return model.Problemf(model.Unavailable, "this member has stopped: %v", fault)
}

func (n *Node) answerPropose(ctx context.Context, _ string, data []byte) (any, error) {
	return n.applyHere(ctx, data)
}

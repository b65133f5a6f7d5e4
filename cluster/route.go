package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
)

// holdLimit is how long a write or a consistent read is held while leadership moves.
const holdLimit = 10 * time.Second

// longestPause between two attempts to reach the leader.
const longestPause = 50 * time.Millisecond

// elsewhere answers for a member that was asked as leader and does not lead.
type elsewhere struct {
	leader string // who does, as far as it knows; may be empty
	cause  error
}

func (e *elsewhere) Error() string { return fmt.Sprintf("it does not lead: %v", e.cause) }

func (n *Node) notLeader() error { return n.passOn(nil, raft.ErrNotLeader) }

// passOn makes an elsewhere of raft's ways to say that a member does not lead,
// or does no longer; of any other cause it answers err.
func (n *Node) passOn(err, cause error) error {
	for _, moved := range []error{raft.ErrNotLeader, raft.ErrLeader, raft.ErrLeadershipLost, raft.ErrEnqueueTimeout,
		raft.ErrLeadershipTransferInProgress, raft.ErrAbortedByRestore, raft.ErrRaftShutdown} {
		if errors.Is(cause, moved) {
			leader, _ := n.Leader()
			return &elsewhere{leader: leader, cause: cause}
		}
	}
	return err
}

// again says whether err means that another member, or a later moment, may do.
// A member that has not heard yet that this one joined answers Forbidden.
func again(err error) bool {
	var moved *elsewhere
	var gone *unreachable
	return errors.As(err, &moved) || errors.As(err, &gone) || model.KindOf(err) == model.Forbidden
}

// throughLeader runs try against the leader, wherever it is, until it is
// answered or ctx is over. What is tried must bear being tried again.
func (n *Node) throughLeader(ctx context.Context, what string, try func(ctx context.Context, leader string) error) error {
	r := route{node: n, hint: n.LeaderHint}
	for pause := time.Millisecond; ; pause = min(2*pause, longestPause) {
		changed := n.Leadership()
		target := r.next()
		err := n.attempt(ctx, target, try)
		if !again(err) {
			return err
		}
		if r.learn(target, err) && ctx.Err() == nil {
			continue
		}
		select {
		case <-changed:
		case <-time.After(pause):
		case <-n.life.Done():
			return model.Problemf(model.Unavailable, "%s: this member is stopping", what)
		case <-ctx.Done():
			return gaveUp(ctx, what, err)
		}
	}
}

func gaveUp(ctx context.Context, what string, last error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return model.Problemf(model.Unavailable,
		"%s: no leader answered in time, and it is not known whether it was done: see who is up with `theseus system ha peers`, look, and try again (%v)", what, last)
}

// attempt is one try; it ends early when another member turns out to lead.
func (n *Node) attempt(ctx context.Context, target string, try func(context.Context, string) error) error {
	if target == n.Self.ID {
		return try(ctx, target)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go n.cancelWhenMoved(ctx, target, cancel)
	return try(ctx, target)
}

func (n *Node) cancelWhenMoved(ctx context.Context, target string, cancel func()) {
	was, _ := n.Leader()
	for {
		changed := n.Leadership()
		if now, known := n.Leader(); known && now != was && now != target {
			cancel()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// route is one request's search for the leader.
type route struct {
	node   *Node
	hint   string // asked next, if not empty
	failed string // did not answer as leader the last time
	turn   int    // of the other members, when nobody knows
	hops   int    // made on a hint since the last pause
}

// next is whom to ask: who was named, else whom raft takes for the leader, else
// the members in turn. A leader that raft still believes in may be dead, so it
// takes turns with the others.
func (r *route) next() string {
	if id := r.hint; id != "" {
		r.hint = ""
		return id
	}
	if id, ok := r.node.Leader(); ok && id != r.failed {
		return id
	}
	r.failed = ""
	voters := r.node.Voters()
	if len(voters) == 0 {
		return r.node.Self.ID
	}
	r.turn++
	return voters[r.turn%len(voters)]
}

// learn takes note of a failure, and says whether to go on without a pause.
func (r *route) learn(target string, err error) bool {
	r.failed = target
	var moved *elsewhere
	if !errors.As(err, &moved) || moved.leader == "" || moved.leader == target || r.hops > 2 ||
		!slices.Contains(r.node.Voters(), moved.leader) {
		r.hops = 0
		return false
	}
	r.hint, r.hops = moved.leader, r.hops+1
	return true
}

// await waits for one of raft's futures, for ctx, or for Close: raft never
// answers what is still in its apply channel when it shuts down.
func (n *Node) await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-n.life.Done():
		return raft.ErrRaftShutdown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patience is how long raft may take to begin what ctx bounds.
func patience(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return holdLimit
	}
	return max(time.Until(end), time.Millisecond) // zero means for ever to raft
}

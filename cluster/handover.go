package cluster

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
)

// handOverTries bounds how often leadership is passed on to reach its target.
const handOverTries = 3

// HandOver moves leadership to a member, by id or name; to any other voter if to
// is empty. That raft says a transfer is done means only that the old leader
// has left, so it looks who leads and tries again. It may be called again.
func (n *Node) HandOver(ctx context.Context, to string) error {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	if err := n.heir(&to); err != nil {
		return err
	}
	if err := n.Note(ctx, "asked for leadership to go to "+cmp.Or(to, "another member")); err != nil {
		return err
	}
	from, err := n.awaitLeader(ctx)
	if err != nil {
		return err
	}
	leader := from
	for range handOverTries {
		if leader == to || to == "" && leader != from {
			return nil
		}
		var now leaderAnswer
		err = n.throughLeader(ctx, "hand over", func(ctx context.Context, leader string) error {
			return n.Call(ctx, leader, pathTransfer, transferRequest{From: from, To: to}, &now)
		})
		if now.Leader != "" {
			leader = now.Leader
		}
		if ctx.Err() != nil {
			break
		}
	}
	if leader == to || to == "" && leader != from {
		return nil
	}
	return model.Problemf(model.Unavailable, "hand over to %s: tried %d times, %s leads (%v): is it up and caught up? see `theseus system ha peers`",
		orAny(to), handOverTries, leader, err)
}

func orAny(id string) string {
	if id == "" {
		return "another voter"
	}
	return id
}

// heir turns a name into an id and checks that it can lead.
func (n *Node) heir(to *string) error {
	if *to == "" {
		if len(n.Voters()) < 2 {
			return model.Problemf(model.Conflict, "hand over: there is no other voter to lead")
		}
		return nil
	}
	id, err := n.resolve(*to)
	if err != nil {
		return err
	}
	if s, _ := find(n.servers(), id); s.Suffrage != raft.Voter || s.ID == "" {
		return model.Problemf(model.Conflict, "hand over to %s: it has no vote and cannot lead", *to)
	}
	*to = id
	return nil
}

// transferRequest asks the leader to pass leadership on: to a member, or, when
// to is empty, away from the one that led when it was first asked. Whoever leads
// by the time a retry arrives has then nothing to do.
type transferRequest struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// leaderAnswer says who leads.
type leaderAnswer struct {
	Leader string `json:"leader"`
}

func (n *Node) answerTransfer(ctx context.Context, _ string, body []byte) (any, error) {
	var r transferRequest
	if err := strict(body, &r); err != nil {
		return nil, model.Problemf(model.Malformed, "read who is to lead: %w", err)
	}
	return n.transferHere(ctx, r)
}

// transferHere passes leadership on once, and answers who leads then.
func (n *Node) transferHere(ctx context.Context, r transferRequest) (leaderAnswer, error) {
	if !n.Leading() {
		return leaderAnswer{}, n.notLeader()
	}
	if r.To == n.Self.ID || r.To == "" && r.From != n.Self.ID {
		return leaderAnswer{Leader: n.Self.ID}, nil
	}
	var f raft.Future
	if s, there := find(n.servers(), r.To); there {
		f = n.raft.LeadershipTransferToServer(s.ID, s.Address)
	} else {
		f = n.raft.LeadershipTransfer()
	}
	if err := n.await(ctx, f); err != nil {
		return leaderAnswer{Leader: n.Self.ID}, fmt.Errorf("transfer leadership: %w", err)
	}
	leader, err := n.awaitLeader(ctx)
	return leaderAnswer{Leader: leader}, err
}

// awaitLeader waits until it is known who leads. A member that is leaving still
// knows itself for a moment, so its own name counts only while it leads.
func (n *Node) awaitLeader(ctx context.Context) (string, error) {
	for {
		changed := n.Leadership()
		if id, ok := n.Leader(); ok && (id != n.Self.ID || n.Leading()) {
			return id, nil
		}
		select {
		case <-changed:
		case <-n.life.Done():
			return "", model.Problemf(model.Unavailable, "this member is stopping")
		case <-ctx.Done():
			return "", model.Problemf(model.Unavailable, "no member leads: see `theseus system ha peers`")
		}
	}
}

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
)

// ReadIndex returns when the local store is at least as new as the cluster was
// at the call: a read of the store after it is linearizable.
func (n *Node) ReadIndex(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	var committed awaitRequest
	err := n.throughLeader(ctx, "read consistently", func(ctx context.Context, leader string) error {
		return n.Call(ctx, leader, pathReadIndex, struct{}{}, &committed)
	})
	if err != nil {
		return err
	}
	if err := n.awaitIndex(ctx, committed.Index); err != nil {
		return model.Problemf(model.Unavailable, "read consistently: this member lags behind: %w", err)
	}
	return nil
}

// awaitRequest names an index of the log.
type awaitRequest struct {
	Index uint64 `json:"index"`
}

func (n *Node) answerReadIndex(ctx context.Context, _ string, _ []byte) (any, error) {
	index, err := n.readHere(ctx)
	return awaitRequest{Index: index}, err
}

// readHere is the commit index of a member that certainly led when it read it.
//
// raft.VerifyLeader does not prove that: a heartbeat's answer that was under way
// before the question counts as a vote for it (notifyAll in raft's
// replication.go), and a leader that was stopped for a while finds such answers
// in its sockets. So the voters are asked for their term. A later leader has
// taken its votes from a majority that had written its later term before; if a
// majority, asked after the read began, knows no term later than ours, then
// nobody had been elected, and nothing committed, behind our back.
func (n *Node) readHere(ctx context.Context) (uint64, error) {
	term, leading := n.leadingTerm()
	if !leading {
		return 0, n.notLeader()
	}
	index := n.raft.CommitIndex()
	if err := n.confirm(ctx, term); err != nil {
		return 0, err
	}
	return index, nil
}

// confirm returns nil once a majority of the voters, this one included, knows
// no term later than term.
func (n *Node) confirm(ctx context.Context, term uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	voters := n.Voters()
	heard := make(chan uint64, len(voters)) // a voter's term; zero for no answer
	for _, voter := range voters {
		go func() {
			p, _ := n.ping(ctx, voter)
			heard <- p.Term
		}()
	}
	yes := 0
	for range voters {
		switch t := <-heard; {
		case t > term:
			return n.notLeader()
		case t > 0:
			yes++
		}
		if yes > len(voters)/2 {
			return nil
		}
	}
	return &elsewhere{cause: errors.New("it cannot reach a majority")}
}

// awaitIndex returns when the store has applied everything up to index. The
// store is told of commands and configurations only, so the last one of those
// is looked for, in the part of the log that is known to be final here.
func (n *Node) awaitIndex(ctx context.Context, index uint64) error {
	if n.Store.Applied() >= index {
		return nil
	}
	if err := n.awaitCommitted(ctx, index); err != nil {
		return err
	}
	last, err := n.lastApplicable(index)
	if err != nil {
		return err
	}
	return n.Store.WaitApplied(ctx, last)
}

// awaitCommitted waits until raft here knows that index is committed, or until
// a snapshot has brought it. Raft has no signal for it.
func (n *Node) awaitCommitted(ctx context.Context, index uint64) error {
	for tick := time.Tick(time.Millisecond); n.raft.CommitIndex() < index && n.Store.Applied() < index; {
		select {
		case <-tick:
		case <-n.life.Done():
			return model.Problemf(model.Unavailable, "this member is stopping")
		case <-ctx.Done():
			return fmt.Errorf("wait for entry %d: %w", index, ctx.Err())
		}
	}
	return nil
}

// lastApplicable is the last entry up to index that the store is told of. What
// is not in the log any more went into the store before it was cut away.
func (n *Node) lastApplicable(index uint64) (uint64, error) {
	for ; index > 0; index-- {
		var l raft.Log
		err := n.logs.GetLog(index, &l)
		if errors.Is(err, raft.ErrLogNotFound) || err == nil && (l.Type == raft.LogCommand || l.Type == raft.LogConfiguration) {
			return index, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read entry %d of the log: %w", index, err)
		}
	}
	return 0, nil
}

func (n *Node) answerAwait(ctx context.Context, _ string, body []byte) (any, error) {
	var r awaitRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, model.Problemf(model.Malformed, "read the index to wait for: %w", err)
	}
	return struct{}{}, n.awaitIndex(ctx, r.Index)
}

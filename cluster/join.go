package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

const (
	joinFile  = "join.json" // in the data directory, from enrolment until membership: whom to ask
	joinLimit = 10 * time.Minute
	joinPause = 500 * time.Millisecond
)

// pendingJoin are the members to ask for admission when this one was enrolled
// in an earlier life but never became a member; nil otherwise.
func (n *Node) pendingJoin() ([]EnrolPeer, error) {
	raw, err := os.ReadFile(filepath.Join(n.Dir, joinFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var peers []EnrolPeer
	if err == nil {
		err = strict(raw, &peers)
	}
	if err != nil {
		return nil, fmt.Errorf("go on joining: read %s: %w", joinFile, err)
	}
	return peers, nil
}

// enrol gets this member its certificate and writes down whom to ask next.
func (n *Node) enrol(ctx context.Context) ([]EnrolPeer, error) {
	key, err := n.Keys.key("member")
	if err != nil {
		return nil, err
	}
	csr, err := request(key, memberSubject(n.Self.ID, n.Hosts))
	if err != nil {
		return nil, err
	}
	me := n.Self
	answer, err := askToEnrol(ctx, *n.Join, EnrolRequest{Token: n.Join.Token, ID: me.ID, Name: me.Name,
		API: me.API, Raft: me.Raft, Version: me.Version, Image: me.Image, Platform: me.Platform,
		Incarnation: me.Incarnation, Observer: me.Observer, CSR: string(csr)}, n.log)
	if err != nil {
		return nil, err
	}
	if err := n.Keys.adopt([]byte(answer.CA), []byte(answer.Certificate)); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(answer.Peers)
	if err != nil {
		return nil, err
	}
	return answer.Peers, durable.WriteBytes(filepath.Join(n.Dir, joinFile), 0o644, raw)
}

// enter has the members add this one, and returns when it votes, if it is to, and
// has the cluster's record.
func (n *Node) enter(peers []EnrolPeer) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, joinLimit)
		defer cancel()
		n.calls.note(peers)
		if err := n.askToJoin(ctx, peers); err != nil {
			return err
		}
		if err := n.awaitRecord(ctx); err != nil {
			return err
		}
		return durable.Remove(filepath.Join(n.Dir, joinFile))
	}
}

func (c *calls) note(peers []EnrolPeer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range peers {
		c.book[p.ID] = p.Raft
	}
}

// askToJoin asks one member after the other until one has seen to it. A member
// that refuses with a reason is believed.
func (n *Node) askToJoin(ctx context.Context, peers []EnrolPeer) error {
	last := errors.New("no member to ask")
	for {
		for _, p := range peers {
			if p.ID == n.Self.ID {
				continue
			}
			last = n.Call(ctx, p.ID, pathJoin, n.Self, nil)
			if last == nil || refusal(last) {
				return last
			}
			n.log.Warn("ask a member to be added", "member", p.ID, "error", last)
		}
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "join: no member added this one in time: %w", last)
		}
	}
}

func refusal(err error) bool {
	kind := model.KindOf(err)
	return kind != "" && kind != model.Unavailable
}

// answerJoin passes a joiner's wish on to the leader.
func (n *Node) answerJoin(ctx context.Context, peer string, body []byte) (any, error) {
	m, err := readJoiner(body)
	if err != nil {
		return nil, err
	}
	if m.ID != peer {
		return nil, model.Problemf(model.Forbidden, "join: %s asks for %s", peer, m.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	return struct{}{}, n.throughLeader(ctx, "join", func(ctx context.Context, leader string) error {
		return n.Call(ctx, leader, pathAdd, m, nil)
	})
}

func (n *Node) answerAdd(ctx context.Context, _ string, body []byte) (any, error) {
	m, err := readJoiner(body)
	if err != nil {
		return nil, err
	}
	if !n.Leading() {
		return nil, n.notLeader()
	}
	return struct{}{}, n.addHere(ctx, m)
}

func readJoiner(body []byte) (m model.Member, err error) {
	if err = strict(body, &m); err != nil {
		err = model.Problemf(model.Malformed, "join: read the joiner: %w", err)
	}
	return m, err
}

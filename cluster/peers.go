package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// pingLimit is how long a member may take to answer before it counts as gone.
const pingLimit = time.Second

// pong is what a member answers to a ping.
type pong struct {
	ID      string `json:"id"`
	Applied uint64 `json:"applied"`
	Leading bool   `json:"leading"`
	Term    uint64 `json:"term"`
	Level   int    `json:"level,omitempty"` // protocol level up to which it reads
}

func (n *Node) pong() pong {
	return pong{ID: n.Self.ID, Applied: n.Store.Applied(), Leading: n.Leading(), Term: n.raft.CurrentTerm(), Level: store.Level}
}

// Sight is what this member sees of the cluster: whether it knows a leader, and
// if not, whether another member leads. For whoever judges if it has rejoined.
func (n *Node) Sight(ctx context.Context) (led, elsewhere bool) {
	if _, led := n.Leader(); led {
		return true, false
	}
	for _, p := range n.pingAll(ctx) {
		elsewhere = elsewhere || p.Leading && p.ID != n.Self.ID
	}
	return false, elsewhere
}

// Ping asks a member whether it is there.
func (n *Node) Ping(ctx context.Context, member string) error {
	_, err := n.ping(ctx, member)
	return err
}

func (n *Node) ping(ctx context.Context, member string) (p pong, err error) {
	err = n.Call(ctx, member, pathPing, struct{}{}, &p)
	return p, err
}

// pingAll pings every member at once; those that do not answer are missing.
func (n *Node) pingAll(ctx context.Context) map[string]pong {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	pongs := map[string]pong{}
	for _, s := range n.servers() {
		wg.Go(func() {
			p, err := n.ping(ctx, string(s.ID))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				pongs[string(s.ID)] = p
			}
		})
	}
	wg.Wait()
	return pongs
}

func (n *Node) alive(ctx context.Context) (ids []string) {
	for id := range n.pingAll(ctx) {
		ids = append(ids, id)
	}
	return ids
}

// Peers are all members of raft's configuration, with what the records know of
// them and what they say themselves right now.
func (n *Node) Peers(ctx context.Context) ([]model.Peer, error) {
	known := map[string]model.Member{}
	err := n.Store.View(func(v *store.View) error {
		members, err := v.Members()
		for _, m := range members {
			known[m.ID] = m
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	pongs, peers := n.pingAll(ctx), []model.Peer{}
	for _, s := range n.servers() {
		peers = append(peers, n.peer(s, known[string(s.ID)], pongs))
	}
	return peers, nil
}

func (n *Node) peer(s raft.Server, m model.Member, pongs map[string]pong) model.Peer {
	id := string(s.ID)
	leader, _ := n.Leader()
	p, online := pongs[id]
	return model.Peer{
		ConsensusID: id, ConsensusAddr: string(s.Address), ApiUrl: m.API, Name: m.Name,
		Passive: id != leader, Observer: s.Suffrage != raft.Voter, Offline: !online,
		Voter: s.Suffrage == raft.Voter, Leader: id == leader, Applied: p.Applied,
		Version: m.Version, Image: m.Image, Platform: m.Platform,
	}
}

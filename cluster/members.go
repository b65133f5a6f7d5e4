package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// servers are the members of raft's latest configuration.
func (n *Node) servers() []raft.Server {
	<-n.started // raft dials before NewRaft has returned
	return n.raft.GetConfiguration().Configuration().Servers
}

func find(servers []raft.Server, id string) (raft.Server, bool) {
	for _, s := range servers {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

// Voters are the ids of the members that vote.
func (n *Node) Voters() []string {
	var ids []string
	for _, s := range n.servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, string(s.ID))
		}
	}
	return ids
}

// frozen is why membership cannot change now, or nil (S21).
func frozen(v *store.View) error {
	u, err := v.Upgrade()
	if err != nil || u == nil || u.Phase.Status() != "working" {
		return err
	}
	return model.Problemf(model.Conflict, "membership is frozen while the upgrade to %s is %s: wait until it has ended (`theseus system upgrade status`)",
		u.Archive.Version, u.Phase)
}

// taken is why a newcomer cannot be what it says, or nil: another member has
// its id, its name or one of its addresses.
func taken(v *store.View, m model.Member) error {
	members, err := v.Members()
	if err != nil {
		return err
	}
	for _, old := range members {
		what := ""
		switch {
		case old.ID == m.ID && old.Incarnation != m.Incarnation:
			what = "id " + m.ID + " (its data directory was copied or restored)"
		case old.ID == m.ID:
		case old.Name == m.Name:
			what = "name " + m.Name + " (set another one with --name)"
		case old.API == m.API:
			what = "API address " + m.API + " (see --listen and --advertise)"
		case old.Raft == m.Raft:
			what = "member address " + m.Raft + " (see --raft-listen and --advertise)"
		}
		if what != "" {
			return model.Problemf(model.Conflict, "join: member %s already has the %s; if that member is gone, remove it with `theseus system ha remove %s`",
				old.Name, what, old.ID)
		}
	}
	return nil
}

// oneChange waits until no other change of membership is under way here.
func (n *Node) oneChange(ctx context.Context) (release func(), err error) {
	select {
	case n.membership <- struct{}{}:
		return func() { <-n.membership }, nil
	case <-ctx.Done():
		return nil, model.Problemf(model.Unavailable, "another change of membership is under way on the leader: try again")
	}
}

// addHere makes m a member, on the leader: first without a vote, until it has
// caught up, so that it never holds up the cluster; an observer stays so. It may
// be called again.
func (n *Node) addHere(ctx context.Context, m model.Member) error {
	release, err := n.oneChange(ctx)
	if err != nil {
		return err
	}
	defer release()
	if n.isMember(m) {
		return nil
	}
	if err := n.welcome(ctx, m); err != nil {
		return err
	}
	id, address := raft.ServerID(m.ID), raft.ServerAddress(m.Raft)
	if err := n.await(ctx, n.raft.AddNonvoter(id, address, 0, patience(ctx))); err != nil {
		return n.passOn(fmt.Errorf("add %s without a vote: %w", m.Name, err), err)
	}
	if err := n.catchUp(ctx, m); err != nil {
		return err
	}
	if err := n.putOnRecord(ctx, m); err != nil {
		return err
	}
	if !m.Observer {
		if err := n.await(ctx, n.raft.AddVoter(id, address, 0, patience(ctx))); err != nil {
			return n.passOn(fmt.Errorf("give %s a vote: %w", m.Name, err), err)
		}
	}
	n.log.Info("member joined", "member", m.Name, "id", m.ID, "raft", m.Raft, "observer", m.Observer)
	return nil
}

// welcome is why m cannot become a member, or nil. What it was told when it
// enrolled may have been long ago.
func (n *Node) welcome(ctx context.Context, m model.Member) error {
	var record model.Cluster
	err := n.Store.View(func(v *store.View) (err error) {
		if record, err = v.Cluster(); err != nil {
			return err
		}
		return errors.Join(frozen(v), taken(v, m), n.suits(m, record))
	})
	if err != nil {
		return err
	}
	return n.legible(ctx, m, record)
}

// isMember says whether m is one already, as it wants to be.
func (n *Node) isMember(m model.Member) bool {
	s, there := find(n.servers(), m.ID)
	if !there || string(s.Address) != m.Raft {
		return false
	}
	if !m.Observer {
		return s.Suffrage == raft.Voter
	}
	return n.Store.View(func(v *store.View) error {
		_, err := v.Member(m.ID)
		return err
	}) == nil
}

// putOnRecord records a newcomer. An upgrade may have been started since it was
// let in, and its plan is made: then it is taken out again and told why (S21).
func (n *Node) putOnRecord(ctx context.Context, m model.Member) error {
	a, err := n.Propose(ctx, store.New(store.OpMemberReport, store.MemberReport{Member: m}))
	if err == nil {
		err = a.Err()
	}
	if !errors.Is(err, store.ErrConflict) {
		if err != nil {
			return fmt.Errorf("record member %s: %w", m.Name, err)
		}
		return nil
	}
	if err := n.await(ctx, n.raft.RemoveServer(raft.ServerID(m.ID), 0, patience(ctx))); err != nil {
		return n.passOn(fmt.Errorf("take %s out again: %w", m.Name, err), err)
	}
	if err := n.Store.View(frozen); err != nil {
		return err
	}
	return model.Problemf(model.Conflict, "join: an upgrade was under way: try again")
}

// catchUp returns when m has applied all that is committed now.
func (n *Node) catchUp(ctx context.Context, m model.Member) error {
	if err := n.Call(ctx, m.ID, pathAwait, awaitRequest{Index: n.raft.CommitIndex()}, nil); err != nil {
		return fmt.Errorf("wait until %s has caught up: %v", m.Name, err) // not the leader's failure to answer
	}
	return nil
}

// Remove takes a member out of the cluster, by id or name. Asked for the
// leader, it hands over first. It may be called again.
func (n *Node) Remove(ctx context.Context, member string) error {
	id, err := n.resolve(member)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	if err := n.Note(ctx, fmt.Sprintf("asked for member %s (%s) to be removed", member, id)); err != nil {
		return err
	}
	if leader, _ := n.Leader(); leader == id && len(n.Voters()) > 1 {
		if err := n.HandOver(ctx, ""); err != nil {
			return fmt.Errorf("remove the leader: %w", err)
		}
	}
	return n.throughLeader(ctx, "remove a member", func(ctx context.Context, leader string) error {
		return n.Call(ctx, leader, pathRemove, memberRequest{Member: id}, nil)
	})
}

// changeLimit bounds a change of membership or leadership.
const changeLimit = 30 * time.Second

// memberRequest names a member.
type memberRequest struct {
	Member string `json:"member"`
}

func (n *Node) answerRemove(ctx context.Context, _ string, body []byte) (any, error) {
	var r memberRequest
	if err := strict(body, &r); err != nil {
		return nil, model.Problemf(model.Malformed, "read which member is meant: %w", err)
	}
	return struct{}{}, n.removeHere(ctx, r.Member)
}

func (n *Node) removeHere(ctx context.Context, id string) error {
	if !n.Leading() {
		return n.notLeader()
	}
	release, err := n.oneChange(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := n.removable(ctx, id); err != nil {
		return err
	}
	gone, _ := find(n.servers(), id)
	if err := n.await(ctx, n.raft.RemoveServer(raft.ServerID(id), 0, patience(ctx))); err != nil {
		return n.passOn(fmt.Errorf("remove member %s: %w", id, err), err)
	}
	n.farewell(ctx, gone)
	if _, err := n.Propose(ctx, store.New(store.OpMemberRemove, store.MemberRemove{ID: id})); err != nil {
		return fmt.Errorf("forget member %s: %w", id, err)
	}
	n.log.Info("member removed", "id", id)
	return nil
}

// removable refuses what would end the cluster, or change who takes part in an
// upgrade that is under way; a dead member can always go.
func (n *Node) removable(ctx context.Context, id string) error {
	if id == n.Self.ID {
		return model.Problemf(model.Conflict, "remove member %s: it is the leader and there is no other to lead: to end a cluster, stop its last member and delete its data directory", n.Self.Name)
	}
	alive := n.alive(ctx)
	if err := n.Store.View(frozen); err != nil && slices.Contains(alive, id) {
		return err
	}
	rest, up := 0, 0
	for _, voter := range n.Voters() {
		if voter == id {
			continue
		}
		rest++
		if slices.Contains(alive, voter) {
			up++
		}
	}
	if up <= rest/2 {
		return model.Problemf(model.Conflict, "remove member %s: of the %d voters that would be left only %d answer, too few to go on: start them first, or remove those that are gone", id, rest, up)
	}
	return nil
}

// resolve finds a member by id or name, in the records or in raft's configuration.
func (n *Node) resolve(member string) (id string, err error) {
	if _, there := find(n.servers(), member); there {
		return member, nil
	}
	err = n.Store.View(func(v *store.View) error {
		members, err := v.Members()
		for _, m := range members {
			if m.ID == member || m.Name == member {
				id = m.ID
				return nil
			}
		}
		return err
	})
	if err == nil && id == "" {
		err = model.Problemf(model.NotFound, "there is no member %q: `theseus system ha peers` lists them", member).About("peers", member)
	}
	return id, err
}

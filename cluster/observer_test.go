package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// observe adds a member without a vote.
func (h *harness) observe(name string) *member {
	h.t.Helper()
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(h.t, err)
	m := h.add(name)
	m.self.Observer = true
	m.open(Config{Join: &Join{URL: h.members[0].api.URL, Token: token}})
	return m
}

func TestAnObserverReplicatesAndServesAndNeverVotes(t *testing.T) {
	h := newCluster(t, 2)
	o := h.observe("o")
	if voters := o.node.Voters(); len(voters) != 2 {
		t.Errorf("%d vote: %v", len(voters), voters)
	}
	o.write("through the observer")
	must(t, o.node.ReadIndex(h.ctx()))
	if got := o.profiles(); len(got) != 1 {
		t.Errorf("it has the profiles %v", got)
	}
	peers, err := h.members[0].node.Peers(h.ctx())
	must(t, err)
	for _, p := range peers {
		if observes := p.Name == "o"; p.Observer != observes || p.Voter == observes {
			t.Errorf("%s: voter %v, observer %v", p.Name, p.Voter, p.Observer)
		}
	}
	must(t, o.store.View(func(v *store.View) error {
		m, err := v.Member(o.self.ID)
		if !m.Observer {
			t.Errorf("the record does not say so: %+v", m)
		}
		return err
	}))
	if err := h.members[0].node.HandOver(h.ctx(), "o"); model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "no vote") {
		t.Errorf("hand over to it: %v", err)
	}
	must(t, h.members[1].node.Remove(h.ctx(), "o"))
}

func TestAnObserverIsNoHelpToAQuorum(t *testing.T) {
	h := newCluster(t, 2)
	h.observe("o")
	h.members[1].kill()
	err := h.members[0].node.removable(h.ctx(), h.members[2].self.ID)
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "of the 2 voters that would be left only 1 answer") {
		t.Errorf("remove the observer without a quorum: %v", err)
	}
	h.members[1].start(Config{})
}

// The upgrade begins after the joiner was let in and before it is on record.
func TestAJoinerThatAnUpgradeOutranIsTakenOutAgain(t *testing.T) {
	h := newCluster(t, 1)
	n := h.members[0].node
	joiner := model.Member{ID: NewUUID(), Name: "late", Raft: "127.0.0.9:1"}
	must(t, n.await(h.ctx(), n.raft.AddNonvoter(raft.ServerID(joiner.ID), raft.ServerAddress(joiner.Raft), 0, 0)))
	h.inUpgrade(model.Rolling)

	err := n.putOnRecord(h.ctx(), joiner)

	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("got %v", err)
	}
	if _, there := find(n.servers(), joiner.ID); there {
		t.Error("it is still in the configuration")
	}
}

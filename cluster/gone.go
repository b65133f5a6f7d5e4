package cluster

import (
	"context"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// forgetGone removes the records of members that Raft's configuration does not
// know: the leader before died in the middle of a removal, or the configuration
// was replaced by a peers file.
func (n *Node) forgetGone() {
	var members []model.Member
	err := n.Store.View(func(v *store.View) (err error) {
		members, err = v.Members()
		return err
	})
	if err != nil {
		n.log.Warn("look for members that are gone", "error", err)
		return
	}
	servers := n.servers() // after the records: a newcomer is in the configuration first
	for _, m := range members {
		if _, there := find(servers, m.ID); there {
			continue
		}
		n.log.Info("forget a member that is gone", "member", m.Name, "id", m.ID)
		if err := n.forget(m.ID); err != nil {
			n.log.Warn("forget a member that is gone", "member", m.Name, "error", err)
		}
	}
}

func (n *Node) forget(id string) error {
	ctx, cancel := context.WithTimeout(n.life, holdLimit)
	defer cancel()
	_, err := n.Propose(ctx, store.New(store.OpMemberRemove, store.MemberRemove{ID: id}))
	return err
}

// Removed says whether this member was taken out of the cluster: its own
// configuration, as far as it got it, does not name it any more. That of one
// that is still joining does not name it yet. The api asks.
func (n *Node) Removed() bool {
	if !n.joined.Load() {
		return false
	}
	servers := n.servers()
	_, there := find(servers, n.Self.ID)
	return len(servers) > 0 && !there
}

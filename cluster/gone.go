package cluster

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/internal/durable"
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

// removedFile, in the data directory of a member that was removed, says so.
const removedFile = "removed"

// farewell tells a member that it was removed: raft stops sending to it, and it
// may never see the configuration without it. One that is dead is told nothing.
func (n *Node) farewell(ctx context.Context, s raft.Server) {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	n.calls.note([]EnrolPeer{{ID: string(s.ID), Raft: string(s.Address)}})
	if err := n.Call(ctx, string(s.ID), pathFarewell, struct{}{}, nil); err != nil {
		n.log.Info("the member that was removed did not hear of it", "id", s.ID, "error", err)
	}
}

func (n *Node) answerFarewell(_ context.Context, peer string, _ []byte) (any, error) {
	n.removed.Store(true)
	n.log.Error("this member was removed from the cluster; to join again it needs an empty data directory", "by", peer)
	return struct{}{}, durable.WriteBytes(filepath.Join(n.Dir, removedFile), 0o644, []byte(peer+"\n"))
}

// Removed says whether this member was taken out of the cluster, as far as it
// heard. The api asks.
func (n *Node) Removed() bool {
	_, led := n.Leader()
	return n.removed.Load() || !led && n.stranger.Load()
}

// turnedAway refuses a call of somebody who is not a member.
type turnedAway struct {
	cause    error
	byLeader bool // who knows; another may not have heard yet that somebody joined
}

func (e *turnedAway) Error() string { return e.cause.Error() }
func (e *turnedAway) Unwrap() error { return e.cause }

// heed takes a leader's word that this member is none: it was down when it was
// removed. That is not written down, and holds until it hears of another leader,
// or of none, and asks again: a removal that was not committed may be undone, and
// a leader that was cut off does not know who has joined since.
func (n *Node) heed(err error) {
	var away *turnedAway
	if !errors.As(err, &away) || n.removed.Load() || n.stranger.Swap(true) {
		return
	}
	n.log.Error("the leader does not know this member any more: it was removed from the cluster; to join again it needs an empty data directory")
}

// wasRemoved reads what an earlier life was told.
func (n *Node) wasRemoved() error {
	_, err := os.Stat(filepath.Join(n.Dir, removedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n.removed.Store(err == nil)
	return err
}

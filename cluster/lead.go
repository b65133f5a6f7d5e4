package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// leadership is what this member knows of who leads, beside raft.
type leadership struct {
	// mu is held to read or change what follows.
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	term    uint64        // the last term in which this member led and passed a barrier
}

// tell wakes whoever waits for a change.
func (l *leadership) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *leadership) passed(term uint64) {
	l.mu.Lock()
	l.term = term
	l.mu.Unlock()
}

// barrier is the last term in which this member passed its barrier.
func (l *leadership) barrier() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term
}

// Leadership is closed at the next change of who leads or of Leading. Ask for
// it before looking, and again after it was closed.
func (n *Node) Leadership() <-chan struct{} {
	n.lead.mu.Lock()
	defer n.lead.mu.Unlock()
	return n.lead.changed
}

// Leader is the id of the member that leads, as far as this one knows.
func (n *Node) Leader() (id string, ok bool) {
	_, leader := n.raft.LeaderWithID()
	return string(leader), leader != ""
}

// Leading says whether this member leads and has passed a barrier of its term:
// everything that was committed before is applied here.
func (n *Node) Leading() bool {
	_, ok := n.leadingTerm()
	return ok
}

func (n *Node) leadingTerm() (uint64, bool) {
	term := n.raft.CurrentTerm()
	return term, n.raft.State() == raft.Leader && n.lead.barrier() == term && n.Store.Fault() == nil
}

// watchLeadership turns raft's signals into ours until the node closes.
func (n *Node) watchLeadership() {
	seen := make(chan raft.Observation, 16)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	stopped := n.Store.Stopped()
	for {
		select {
		case elected := <-n.raft.LeaderCh():
			if elected {
				n.takeOver()
			}
		case <-seen:
			n.stranger.Store(false) // who said so may not lead any more
		case <-stopped:
			stopped = nil
			n.goes(n.standDown)
		case <-n.life.Done():
			return
		}
		n.lead.tell()
	}
}

// takeOver waits until everything committed before this term is applied here.
func (n *Node) takeOver() {
	for n.raft.State() == raft.Leader {
		term := n.raft.CurrentTerm()
		err := n.await(context.Background(), n.raft.Barrier(rpcTimeout))
		if err == nil && n.raft.CurrentTerm() == term {
			n.lead.passed(term)
			n.goes(n.forgetGone)
			return
		}
		select {
		case <-time.After(5 * time.Millisecond): // a transfer is under way, say
		case <-n.life.Done():
			return
		}
	}
}

// standDown takes a member whose store stopped out of raft: it passes on its
// leadership if it can, and neither votes nor answers from then on (S11).
func (n *Node) standDown() {
	n.log.Error("the store stopped; this member leaves raft", "error", n.Store.Fault())
	if n.raft.State() == raft.Leader {
		if err := n.await(context.Background(), n.raft.LeadershipTransfer()); err != nil {
			n.log.Warn("hand over before leaving", "error", err)
		}
	}
	n.raft.Shutdown().Error() // waits; it is always nil, says raft's future.go
	n.lead.tell()
}

// electAlone has the only voter of a cluster lead at once: nobody else could
// (S16). Raft waits one heartbeat timeout first, unless the timeout shrinks; a
// follower then looks at once whether it has heard of a leader (ReloadConfig
// and followerNotifyCh in raft). So raft is started a millisecond above its
// default timeouts, which are set here.
func (n *Node) electAlone() error {
	voters := n.Voters()
	if len(voters) != 1 || voters[0] != n.Self.ID {
		return nil
	}
	timeouts, set := raft.DefaultConfig(), n.raft.ReloadableConfig()
	set.HeartbeatTimeout, set.ElectionTimeout = timeouts.HeartbeatTimeout, timeouts.ElectionTimeout
	return n.raft.ReloadConfig(set)
}

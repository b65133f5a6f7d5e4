package upgrader

import (
	"context"

	"github.com/theseusd/theseus/store"
)

// raise opens this build's protocol level in a cluster that an earlier build
// began, once an upgrade to this version is completed: then no member goes back,
// and every one reads it.
func (u *Upgrader) raise(ctx context.Context, p picture) (bool, error) {
	if !u.Cluster.Leading() || p.cluster.Level >= store.Level || p.cluster.Version != u.Self.Version || !u.uniform(p) {
		return false, nil
	}
	return true, ignoreConflict(u.propose(ctx, store.OpClusterLevel, store.ClusterLevel{Before: p.cluster.Level, Level: store.Level}))
}

// uniform says whether every member runs this build: the one that a completed
// upgrade brought to its platform, or the very image that runs here.
func (u *Upgrader) uniform(p picture) bool {
	up := p.record()
	for _, m := range p.members {
		brought := up != nil && up.Completed && m.Image == up.Archive.Images[m.Platform]
		if m.Image != u.Self.Image && !brought {
			return false
		}
	}
	return true
}

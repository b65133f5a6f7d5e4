//go:build era

package upgrader

import (
	"context"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// mark uses the command that builds with the tag era have besides, as soon as
// completion has opened it: they stand for a next version in tests.
func (u *Upgrader) mark(ctx context.Context, p picture) (bool, error) {
	if !u.Cluster.Leading() || p.cluster.Era != nil || store.Gate(store.OpEraMark, p.cluster) != nil {
		return false, nil
	}
	return true, u.propose(ctx, store.OpEraMark, store.EraMark{
		Era: model.Era{Version: p.cluster.Version, Since: stamp()}})
}

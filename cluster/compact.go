package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Compact cuts this member's log down to its last entries; trailing says how
// many of them stay, zero leaves only what is not applied yet. With the log go
// the stubs of archives. It may be called again.
func (n *Node) Compact(ctx context.Context, trailing uint64) error {
	n.compaction.Lock()
	defer n.compaction.Unlock()
	set := n.raft.ReloadableConfig()
	usual := set.TrailingLogs
	set.TrailingLogs = trailing
	if err := n.raft.ReloadConfig(set); err != nil {
		return fmt.Errorf("compact the log: %w", err)
	}
	err := n.await(ctx, n.raft.Snapshot())
	set.TrailingLogs = usual
	if back := n.raft.ReloadConfig(set); err == nil {
		err = back
	}
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("compact the log: %w", err)
	}
	return nil
}

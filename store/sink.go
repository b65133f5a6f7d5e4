package store

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// errNoContent is returned for a sink that is closed before anything came.
var errNoContent = errors.New("a snapshot arrived without content")

// sink takes a snapshot in: nothing at all from this member, everything from another.
type sink struct {
	store   *Store
	meta    raft.SnapshotMeta
	local   bool
	receipt *receipt // from the first byte on
	closed  bool
}

// ID is what Open will know the snapshot by.
func (k *sink) ID() string { return k.meta.ID }

// Write takes the next bytes of a snapshot from another member.
func (k *sink) Write(p []byte) (int, error) {
	if k.receipt == nil {
		r, err := k.store.receive(k.meta)
		if err != nil {
			return 0, err
		}
		k.receipt = r
	}
	return k.receipt.Write(p)
}

// Close makes the snapshot last. May be called again.
func (k *sink) Close() error {
	if k.closed {
		return nil
	}
	k.closed = true
	switch {
	case k.local:
		return k.store.witness(k.meta)
	case k.receipt == nil:
		return errNoContent
	}
	a, err := k.receipt.finish()
	if errors.Is(err, errUnreadable) {
		k.store.stop(&StoppedError{Index: k.meta.Index, Reason: fmt.Sprintf("the snapshot at this entry: %v", err)})
	}
	if err != nil {
		return fmt.Errorf("receive snapshot at %d: %w", k.meta.Index, err)
	}
	k.store.keepArrival(a)
	return nil
}

// Cancel forgets what came.
func (k *sink) Cancel() error {
	if k.closed || k.receipt == nil {
		return nil
	}
	k.closed = true
	return k.receipt.cancel()
}

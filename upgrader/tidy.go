package upgrader

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// tidy brings what lies on this member's disk in line with the record: an
// attempt that is over is closed, archives and binaries that the record does
// not speak of go, the log is compacted once the chunks are where they belong.
func (u *Upgrader) tidy(ctx context.Context, p picture) (bool, error) {
	u.alive(attestLimit) // a disk may be slow
	defer u.alive(0)
	for _, part := range []func(context.Context, picture) error{u.disarm, u.sweep, u.sweepPartials, u.keepProof, u.keepCopy, u.matchCLI} {
		if err := part(ctx, p); err != nil {
			return false, err
		}
	}
	if p.migrates() {
		return false, nil // nothing is collected or compacted meanwhile
	}
	if p.upgrade != nil && u.compacted != p.upgrade.ID {
		err := u.Cluster.Compact(ctx, trailing)
		if err == nil {
			u.compacted = p.upgrade.ID
		}
		return true, err
	}
	return u.dropArchives(ctx, p)
}

// migrates says whether a migration of data is at work.
func (p picture) migrates() bool {
	return p.job != nil && p.job.State != model.JobFailed && p.job.Migration.Phase != model.Task
}

// sweep removes what lies beside the binary and is of no upgrade on record, once
// for each upgrade and staging: between two of them nothing new appears there.
func (u *Upgrader) sweep(_ context.Context, p picture) error {
	var keep []string
	now := "swept"
	if up := p.record(); up != nil {
		now += " " + up.ID
		keep = append(keep, u.Own.Next(up.Archive.Images[u.Self.Platform]))
	}
	if p.upgrade != nil {
		now += " with the way back"
		keep = append(keep, u.Own.Previous())
		if row := p.upgrade.Member(u.Self.ID); row != nil {
			keep = append(keep, u.Own.Next(row.Image)) // laid out to go back
		}
	}
	if p.staging != nil {
		now += " " + p.staging.ID
		keep = append(keep, u.Own.Next(p.staging.Archive.Images[u.Self.Platform]))
	}
	if u.swept == now {
		return nil
	}
	if err := u.Own.Sweep(keep...); err != nil {
		return err
	}
	u.swept = now
	return nil
}

// trailing is how many entries stay in the log for members that are a little behind.
const trailing = 64

func (u *Upgrader) dropArchives(ctx context.Context, p picture) (bool, error) {
	present, err := u.Store.Archives()
	if err != nil {
		return false, err
	}
	for _, digest := range present {
		if u.wanted(p, digest) {
			continue
		}
		err := u.Store.DropArchive(digest)
		if errors.Is(err, store.ErrStubbed) {
			return true, u.Cluster.Compact(ctx, 0)
		}
		if err != nil {
			return false, err
		}
		u.Log.Info("dropped an archive", "digest", digest)
	}
	return false, nil
}

func (u *Upgrader) wanted(p picture, digest string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.held[digest] ||
		p.staging != nil && p.staging.Archive.Digest == digest ||
		p.upgrade != nil && p.upgrade.Archive.Digest == digest ||
		p.release != nil && p.release.Archive.Digest == digest && owes(p.release)
}

// disarm closes the attempt record when the turn that it was made for is over,
// and ends the lame duck of a turn that was given back.
func (u *Upgrader) disarm(ctx context.Context, p picture) error {
	a, open, err := u.Own.Attempt()
	if err != nil || !open || u.wears(p, a) {
		return err
	}
	// After a long absence the turn that it was made for may not be here yet.
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return fmt.Errorf("close an attempt that seems over: %w", err)
	}
	if p, err = u.look(); err != nil || u.wears(p, a) {
		return err
	}
	u.Process.Recover()
	return u.Own.Close()
}

// wears says whether this member has the turn that the attempt was made for.
func (u *Upgrader) wears(p picture, a binary.Attempt) bool {
	up := p.record()
	return up != nil && up.ID == a.Upgrade && up.Turn != nil && up.Turn.Member == u.Self.ID && up.Turn.Attempt == a.Number
}

package upgrader

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/binary"
	"github.com/theseusd/theseus/upgrader/policy"
)

// A member that was away during a rollout takes the release from a peer. It is
// not judged by the version table: of its records nothing outlives the cluster's.

// restart is what the loop does while this member's store has stopped: begin a new
// life of this image when it was the disk and that is well again, else catch up.
// It does not come back when it succeeds.
func (u *Upgrader) restart(ctx context.Context, p picture) error {
	err := u.Store.Mended()
	if f := binary.Room(u.DataDir, roomToGoOn); err == nil && f != nil {
		return fmt.Errorf("go on after the disk failed: %s", f)
	}
	if err != nil {
		return u.catchUp(ctx, p)
	}
	u.Log.Info("the disk that stopped the store keeps again what it is given: beginning anew")
	u.Process.LameDuck()
	return u.Process.Reexec(ctx, func() error { return nil })
}

// roomToGoOn is how many bytes must be free before a member whose disk was full
// begins anew.
const roomToGoOn = 16 << 20

// catchUp is what a member does that met what only a later version reads: take the
// release that its peers run, have the turn claimed, swap, and go on in a version
// that can read what this one cannot.
// It does not come back when it succeeds.
func (u *Upgrader) catchUp(ctx context.Context, p picture) error {
	u.alive(u.trialsLimit() + attestLimit)
	peer, o, err := u.findRelease(ctx, p)
	if err != nil {
		return fmt.Errorf("catch up: %w", err)
	}
	if v, found, err := u.Own.Verdict(); err == nil && found && v.PutBack && v.Upgrade == o.Upgrade {
		return fmt.Errorf("%s was put back here (%s): replace the binary by hand", o.Version, v.Reason)
	}
	if found := u.tryOffer(ctx, peer, o); len(found) > 0 {
		return &model.Problem{Kind: model.Conflict, Messages: found}
	}
	return u.goLate(ctx, peer, o)
}

// lateEvery is how often a member whose store has stopped looks for a way on.
const lateEvery = 5 * time.Second

// tryOffer is the trial run of what a peer passes on.
func (u *Upgrader) tryOffer(ctx context.Context, peer string, o offer) []string {
	if found := words(u.Own.Prerequisites(ctx, u.DataDir, 0)); len(found) > 0 {
		return found
	}
	next, err := u.take(ctx, peer, o.Image)
	if err != nil {
		return []string{err.Error()}
	}
	t, err := u.tryOut(ctx, next, o.Upgrade)
	if err != nil {
		return []string{err.Error()}
	}
	return t.Findings
}

// goLate has its turn claimed, and swaps.
func (u *Upgrader) goLate(ctx context.Context, peer string, o offer) error {
	var turn lateTurn
	err := u.Cluster.Call(ctx, peer, pathLate, lateClaim{Upgrade: o.Upgrade, Member: u.Self.ID, Boot: u.Self.Boot}, &turn)
	if err == nil {
		err = u.Own.Arm(binary.Plan{Upgrade: o.Upgrade, Member: u.Self.ID, Attempt: turn.Attempt, DataDir: u.DataDir,
			Image: o.Image, Deadline: o.Deadline, Start: u.Launch})
	}
	if err != nil {
		return err
	}
	u.Log.Info("catching up with the cluster", "version", o.Version, "image", o.Image, "from", peer)
	if err := u.keep(o); err != nil {
		u.Log.Warn("keep what vouches for the release", "error", err)
	}
	u.Process.LameDuck()
	u.leaving()
	return u.Process.Reexec(ctx, u.Own.Swap)
}

// findRelease asks the other members for a release that is newer than what runs
// here and signed by someone trusted here.
func (u *Upgrader) findRelease(ctx context.Context, p picture) (peer string, o offer, err error) {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(without(p.members, []string{u.Self.ID}))) {
		o, err := u.askRelease(ctx, id)
		if err == nil && !policy.Older(u.Self.Version, o.Version) {
			err = fmt.Errorf("it runs %s, which is not newer than %s", o.Version, u.Self.Version)
		}
		if err == nil {
			return id, o, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", p.members[id].Name, err))
	}
	return "", o, fmt.Errorf("no member passes on a release that this one can take: %w", errors.Join(errs...))
}

func (u *Upgrader) askRelease(ctx context.Context, member string) (o offer, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := u.Cluster.Call(ctx, member, pathRelease, struct{}{}, &o); err != nil {
		return o, err
	}
	if o.Platform != u.Self.Platform {
		return o, fmt.Errorf("it runs on %s, not on %s", o.Platform, u.Self.Platform)
	}
	facts, err := o.Proof.Verify(u.Trust)
	if err != nil {
		return o, err
	}
	if facts.Version != o.Version || facts.Images[o.Platform] != o.Image {
		return o, fmt.Errorf("what vouches for it is for %s (%s)", facts.Version, facts.Images[o.Platform])
	}
	return o, nil
}

// takeLimit bounds the fetch of one executable from a peer.
const takeLimit = 10 * time.Minute

// take fetches a peer's executable and lays it beside the own one.
func (u *Upgrader) take(ctx context.Context, peer, image string) (path string, err error) {
	ctx, cancel := context.WithTimeout(ctx, takeLimit)
	defer cancel()
	body, _, err := u.Cluster.Fetch(ctx, peer, pathBinary, struct{}{})
	if err != nil {
		return "", fmt.Errorf("fetch the release: %w", err)
	}
	defer body.Close()
	return u.Own.Extract(ctx, body, image)
}

// fetch takes an image that the record speaks of from whichever peer runs it.
func (u *Upgrader) fetch(ctx context.Context, image string) (path string, err error) {
	p, err := u.look()
	if err != nil {
		return "", err
	}
	peer, o, err := u.findRelease(ctx, p)
	if err != nil {
		return "", err
	}
	if o.Image != image {
		return "", fmt.Errorf("%s runs %s, not %s", p.members[peer].Name, o.Image, image)
	}
	return u.take(ctx, peer, image)
}

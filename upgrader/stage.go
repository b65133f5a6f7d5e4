package upgrader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// A staging is an archive on its way. Its record is driven as the upgrade's is:
// every member answers and attests by itself, the leader commits or drops.

// stage does this member's part in the staging under way, if any.
func (u *Upgrader) stage(ctx context.Context, p picture) (bool, error) {
	s := p.staging
	if s == nil {
		return false, nil
	}
	if _, answered := s.Answers[u.Self.ID]; !answered {
		return true, u.vote(ctx, store.OpStageAnswer, s, u.room(s.Archive.Size))
	}
	if _, attested := s.Attests[u.Self.ID]; s.Sealed && !attested {
		return true, u.vote(ctx, store.OpStageAttest, s, u.attest(ctx, s.Archive))
	}
	if !u.Cluster.Leading() {
		return false, nil
	}
	if willing(s.Attests, p.members) {
		return true, u.commit(ctx, p)
	}
	return u.lease(ctx, s)
}

func (u *Upgrader) vote(ctx context.Context, op store.Op, s *model.Staging, reasons []string) error {
	return u.propose(ctx, op, store.StageVote{
		ID: s.ID, Member: u.Self.ID,
		Vote: model.Vote{Incarnation: u.Self.Incarnation, Reasons: reasons},
	})
}

// willing says whether every member, as the data directory it is now, said yes.
func willing(votes map[string]model.Vote, members map[string]model.Member) bool {
	for id, m := range members {
		v, voted := votes[id]
		if !voted || len(v.Reasons) > 0 || v.Incarnation != m.Incarnation {
			return false
		}
	}
	return len(members) > 0
}

// refusals are the reasons of all who said no, by the name of the member.
func refusals(votes map[string]model.Vote, members map[string]model.Member) []string {
	var all []string
	for id, v := range votes {
		for _, reason := range v.Reasons {
			all = append(all, members[id].Name+": "+reason)
		}
	}
	slices.Sort(all)
	return all
}

// silent names the members that have not voted.
func silent(votes map[string]model.Vote, members map[string]model.Member) []string {
	var names []string
	for id, m := range members {
		if _, voted := votes[id]; !voted {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}

// lease drops a staging whose receiver has been silent for too long.
func (u *Upgrader) lease(ctx context.Context, s *model.Staging) (bool, error) {
	key := fmt.Sprintf("lease of %s, renewal %d", s.ID, s.Renewed)
	if u.leaseOf.passed(model.Wait{}, key, time.Now()) < leaseLimit {
		return false, nil
	}
	u.Log.Warn("drop a staging: its receiver is silent", "receiver", s.Receiver, "digest", s.Archive.Digest)
	return true, u.propose(ctx, store.OpStageDrop, store.StageRef{ID: s.ID})
}

// commit makes the staged upgrade of a staging that every member attested.
func (u *Upgrader) commit(ctx context.Context, p picture) error {
	s := p.staging
	staged := model.Upgrade{
		ID: s.ID, Archive: s.Archive, From: p.cluster.Version, Phase: model.Staged, By: s.Uploader,
		Members: plan(p, nil), Since: stamp(),
		Transcript: []string{fmt.Sprintf("%s staged %s (sha256:%s) by %s: %d members attested their own copies",
			stamp(), s.Archive.Version, s.Archive.Digest, s.Uploader, len(p.members))},
	}
	return u.propose(ctx, store.OpStageCommit, store.StageCommit{ID: s.ID, Upgrade: staged})
}

// plan lists the members in the order of their names. What went before in the
// same upgrade stays: who is done is not started again, attempts count on.
func plan(p picture, before *model.Upgrade) []model.Progress {
	var all []model.Progress
	for id, m := range p.members {
		row := model.Progress{ID: id, Step: model.Waiting, Since: stamp(), From: m.Version, Image: m.Image}
		if before != nil {
			if old := before.Member(id); old != nil {
				row.From, row.Image, row.Attempt, row.Before = old.From, old.Image, old.Attempt, old.Attempt
				if finished(*old) && m.Image == before.Archive.Images[m.Platform] {
					row.Step, row.Since, row.Boot = old.Step, old.Since, old.Boot
				}
			}
		}
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b model.Progress) int {
		return strings.Compare(p.members[a.ID].Name+a.ID, p.members[b.ID].Name+b.ID)
	})
	return all
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// tidy brings what lies on this member's disk in line with the record: an
// attempt that is over is closed, archives and binaries that the record does
// not speak of go, the log is compacted once the chunks are where they belong.
func (u *Upgrader) tidy(ctx context.Context, p picture) (bool, error) {
	if err := u.disarm(p.upgrade); err != nil {
		return false, err
	}
	if err := u.sweep(p); err != nil {
		return false, err
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

// sweep removes what lies beside the binary and is of no upgrade on record, once
// for each upgrade and staging: between two of them nothing new appears there.
func (u *Upgrader) sweep(p picture) error {
	var keep []string
	now := "swept"
	if p.upgrade != nil {
		now += " " + p.upgrade.ID
		keep = append(keep, u.Own.Previous(), u.Own.Next(p.upgrade.Archive.Images[u.Self.Platform]))
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
		p.upgrade != nil && p.upgrade.Archive.Digest == digest
}

// disarm closes the attempt record when the turn that it was made for is over,
// and ends the lame duck of a turn that was given back.
func (u *Upgrader) disarm(up *model.Upgrade) error {
	a, open, err := u.Own.Attempt()
	if err != nil || !open {
		return err
	}
	if up != nil && up.ID == a.Upgrade && up.Turn != nil && up.Turn.Member == u.Self.ID && up.Turn.Attempt == a.Number {
		return nil
	}
	u.Process.Recover()
	return u.Own.Close()
}

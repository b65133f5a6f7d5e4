package upgrader

import (
	"context"
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
	if !s.Awaits(u.Self.ID) && !u.Cluster.Leading() {
		return false, nil
	}
	if _, answered := s.Answers[u.Self.ID]; !answered && s.Awaits(u.Self.ID) {
		return true, u.vote(ctx, store.OpStageAnswer, s, u.room(s.Archive.Size))
	}
	if _, attested := s.Attests[u.Self.ID]; s.Sealed && !attested && s.Awaits(u.Self.ID) {
		return true, u.vote(ctx, store.OpStageAttest, s, u.attest(ctx, s.Archive))
	}
	if !u.Cluster.Leading() {
		return false, nil
	}
	if willing(s, p.members) {
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

// willing says whether every member that is waited for, as the data directory it
// is now, attested its copy.
func willing(s *model.Staging, members map[string]model.Member) bool {
	some := false
	for id, m := range members {
		if !s.Awaits(id) {
			continue
		}
		v, voted := s.Attests[id]
		if !voted || len(v.Reasons) > 0 || v.Incarnation != m.Incarnation {
			return false
		}
		some = true
	}
	return some
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

// silent names the members that are waited for and have not voted.
func silent(s *model.Staging, votes map[string]model.Vote, members map[string]model.Member) []string {
	var names []string
	for id, m := range members {
		if _, voted := votes[id]; !voted && s.Awaits(id) {
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
	now := stamp()
	note := fmt.Sprintf("%s staged %s (sha256:%s) by %s: %d members attested their own copies",
		now, s.Archive.Version, s.Archive.Digest, s.Uploader, len(s.Attests))
	if len(s.Exclude) > 0 {
		note += "; left out: " + strings.Join(names(p, s.Exclude), ", ")
	}
	staged := model.Upgrade{
		ID: s.ID, Archive: s.Archive, From: p.cluster.Version, Phase: model.Staged, By: s.Uploader,
		Options: model.Options{Exclude: s.Exclude}, Members: plan(p, nil, s.Exclude), Since: now, Staged: now,
		Transcript: []string{note},
	}
	return u.propose(ctx, store.OpStageCommit, store.StageCommit{ID: s.ID, Upgrade: staged})
}

// plan lists the members in the order of their names. What went before in the
// same upgrade stays: who is done is not started again, attempts count on.
func plan(p picture, before *model.Upgrade, exclude []string) []model.Progress {
	var all []model.Progress
	for id, m := range p.members {
		row := model.Progress{ID: id, Step: model.Waiting, Since: stamp(), From: m.Version, Image: m.Image}
		if slices.Contains(exclude, id) {
			row.Step, row.Reason = model.Excluded, "left out by the operator"
		}
		if before != nil {
			goOn(&row, before, m)
		}
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b model.Progress) int {
		return strings.Compare(p.members[a.ID].Name+a.ID, p.members[b.ID].Name+b.ID)
	})
	return all
}

// goOn keeps in row what came of the member in the run before.
func goOn(row *model.Progress, before *model.Upgrade, m model.Member) {
	old := before.Member(row.ID)
	if old == nil {
		return
	}
	row.From, row.Image, row.Attempt, row.Before = old.From, old.Image, old.Attempt, old.Attempt
	if finished(*old) && m.Image == before.Archive.Images[m.Platform] {
		row.Step, row.Since, row.Boot, row.Reason = old.Step, old.Since, old.Boot, old.Reason
		row.Claimed, row.Settled = old.Claimed, old.Settled
	}
}

// names are those of the members with these ids, sorted.
func names(p picture, ids []string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, p.members[id].Name)
	}
	slices.Sort(all)
	return all
}

func stamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

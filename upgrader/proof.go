package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// What is proven of two versions while both are at work: that they make the same
// of the same commands, and that the kept one reads what the new one has written.
const (
	pathDigest    = "/upgrade/digest"
	pathProveBack = "/upgrade/prove-back"
)

// trialsLimit is how long a whole trial run on a member may take: three
// self-checks, and making the copies.
func (u *Upgrader) trialsLimit() time.Duration {
	size, err := u.Store.RecordsSize()
	if err != nil {
		size = 0
	}
	return 4 * selfCheckWithin(size)
}

// proveBack has the executable that this member ran before read what this one
// has written since. The error says that this could not be found out; findings
// that the way back is not there.
func (u *Upgrader) proveBack(ctx context.Context, up *model.Upgrade) (findings []string, err error) {
	t, err := u.wayBack(ctx, up)
	return t.Findings, err
}

func (u *Upgrader) wayBack(ctx context.Context, up *model.Upgrade) (t trial, err error) {
	row := up.Member(u.Self.ID)
	if row == nil {
		return t, fmt.Errorf("prove the way back: %s has no part in this upgrade", u.Self.Name)
	}
	if row.Image == u.Self.Image {
		return trial{Note: "it runs the version before"}, nil
	}
	kept, err := u.Own.Kept(row.Image)
	var gone *binary.NotKeptError
	switch {
	case errors.As(err, &gone):
		return trial{Findings: []string{fmt.Sprintf("%s: the way back to %s is not there: %v", u.Self.Name, row.From, gone)}}, nil
	case err != nil:
		return t, fmt.Errorf("prove the way back: %w", err)
	}
	if t, err = u.tryOut(ctx, kept, up.ID); err != nil {
		return t, fmt.Errorf("prove the way back: %w", err)
	}
	for i, f := range t.Findings {
		t.Findings[i] = fmt.Sprintf("%s: the way back to %s is not there: %s", u.Self.Name, row.From, f)
	}
	return t, nil
}

// upgradeQuestion is about one upgrade and no other, by one who has applied the
// log up to an index.
type upgradeQuestion struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"`
}

func (u *Upgrader) question(up *model.Upgrade) upgradeQuestion {
	return upgradeQuestion{ID: up.ID, Index: u.Store.Applied()}
}

// asked is the upgrade that a question is about, once this member knows as much
// as the asker.
func (u *Upgrader) asked(ctx context.Context, in json.RawMessage) (*model.Upgrade, error) {
	var q upgradeQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	if err := u.Store.WaitApplied(ctx, q.Index); err != nil {
		return nil, model.Problemf(model.Unavailable, "%v", err)
	}
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	if up := p.record(); up != nil && up.ID == q.ID {
		return up, nil
	}
	return nil, model.Problemf(model.Conflict, "upgrade %s is not on record here", q.ID)
}

func (u *Upgrader) answerProveBack(ctx context.Context, in json.RawMessage) (any, error) {
	up, err := u.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	return u.wayBack(ctx, up)
}

// askBack has a member prove its way back. The error says that it could not be
// found out; findings that the way back is not there.
func (u *Upgrader) askBack(ctx context.Context, member string, up *model.Upgrade) (findings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, u.trialsLimit())
	defer cancel()
	var t trial
	if err := u.Cluster.Call(ctx, member, pathProveBack, u.question(up), &t); err != nil {
		return nil, err
	}
	u.backTold = t.told()
	return t.Findings, nil
}

// compareLimit is how long members may take to digest their records.
const compareLimit = 30 * time.Second

type digestQuestion struct {
	Index uint64 `json:"index"`
}

type digestAnswer struct {
	Digest string `json:"digest"`
}

// answerDigest waits for as long as the asker does.
func (u *Upgrader) answerDigest(ctx context.Context, in json.RawMessage) (any, error) {
	var q digestQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	if err := u.Store.WaitApplied(ctx, q.Index); err != nil {
		return nil, model.Problemf(model.Unavailable, "%v", err)
	}
	tick := time.NewTicker(breath / 20)
	defer tick.Stop()
	for {
		if digest, known := u.Store.DigestAt(q.Index); known {
			return digestAnswer{Digest: digest}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, model.Problemf(model.Unavailable, "there is no digest of the records at index %d: %v", q.Index, ctx.Err())
		}
	}
}

// compare has every member that takes part digest its records at one index of
// the log. The error says that one could not tell in time; findings that they
// have come apart.
func (u *Upgrader) compare(ctx context.Context, p picture) (findings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, compareLimit)
	defer cancel()
	mark, err := u.Cluster.Propose(ctx, store.New(store.OpStateDigest, store.StateDigest{}))
	if err == nil {
		err = mark.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("mark an index to compare the records at: %w", err)
	}
	digests, err := u.digests(ctx, p, mark.Index)
	if err != nil {
		return nil, err
	}
	return apart(p, mark.Index, digests), nil
}

// digests are those of the members at an index, by id.
func (u *Upgrader) digests(ctx context.Context, p picture, index uint64) (map[string]string, error) {
	var mu sync.Mutex // held for what follows
	digests, silent := map[string]string{}, []error{}
	var wg sync.WaitGroup
	for _, m := range p.members {
		if row := p.upgrade.Member(m.ID); row == nil || !included(*row) {
			continue
		}
		wg.Go(func() {
			var a digestAnswer
			err := u.Cluster.Call(ctx, m.ID, pathDigest, digestQuestion{Index: index}, &a)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, fmt.Errorf("%s: digest of its records at index %d: %w", m.Name, index, err))
				return
			}
			digests[m.ID] = a.Digest
		})
	}
	wg.Wait()
	slices.SortFunc(silent, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return digests, errors.Join(silent...)
}

// apart says who has which records, unless all have the same.
func apart(p picture, index uint64, digests map[string]string) (findings []string) {
	having := map[string][]string{}
	for id, digest := range digests {
		m := p.members[id]
		having[digest] = append(having[digest], fmt.Sprintf("%s (%s)", m.Name, m.Version))
	}
	if len(having) < 2 {
		return nil
	}
	var sides []string
	for _, digest := range slices.Sorted(maps.Keys(having)) {
		slices.Sort(having[digest])
		sides = append(sides, fmt.Sprintf("%.12s on %s", digest, strings.Join(having[digest], ", ")))
	}
	slices.Sort(sides)
	return []string{fmt.Sprintf("the members' records at index %d differ: %s", index, strings.Join(sides, "; "))}
}

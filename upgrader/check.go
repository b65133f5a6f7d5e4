package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
)

// pathCheck asks a member for a trial run now.
const pathCheck = "/upgrade/check"

// CheckAll is the trial run of what is staged on every member that takes part,
// all at once, and nothing else: nothing is recorded, nothing is changed.
func (u *Upgrader) CheckAll(ctx context.Context) (model.CheckReport, error) {
	p, err := u.look()
	if err != nil {
		return model.CheckReport{}, err
	}
	if err := checkable(p.upgrade); err != nil {
		return model.CheckReport{}, err
	}
	r := model.CheckReport{Version: p.upgrade.Archive.Version, Archive: "sha256:" + p.upgrade.Archive.Digest, OK: true}
	ctx, cancel := context.WithTimeout(ctx, u.trialsLimit())
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex // held for r
	for _, m := range p.members {
		wg.Go(func() {
			row := u.checkOne(ctx, p, m)
			mu.Lock()
			defer mu.Unlock()
			r.Members, r.OK = append(r.Members, row), r.OK && len(row.Findings) == 0
		})
	}
	wg.Wait()
	slices.SortFunc(r.Members, func(a, b model.CheckMember) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return r, nil
}

// checkable says why there is nothing to try out now.
func checkable(up *model.Upgrade) error {
	switch {
	case up == nil:
		return nothingStaged()
	case up.Phase.Status() == "working":
		return model.Problemf(model.Conflict, "the upgrade is under way, and has its trial runs by itself: %s", statusHint)
	case up.Phase == model.Finished:
		return model.Problemf(model.Conflict, "the upgrade to %s is finished: there is nothing left to try out", up.Archive.Version)
	}
	return nil
}

func (u *Upgrader) checkOne(ctx context.Context, p picture, m model.Member) model.CheckMember {
	row := model.CheckMember{ID: m.ID, Name: m.Name, Findings: []string{}}
	if slices.Contains(p.upgrade.Options.Exclude, m.ID) {
		row.Note = "left out by the operator"
		return row
	}
	var t trial
	if err := u.Cluster.Call(ctx, m.ID, pathCheck, u.question(p.upgrade), &t); err != nil {
		row.Findings = append(row.Findings, noTrial(m, err))
		return row
	}
	row.Findings = append(row.Findings, t.Findings...)
	row.Replayed, row.Note, row.Took = t.Replayed, t.Note, t.Took.Round(time.Millisecond).String()
	return row
}

// noTrial says why there was no trial run on a member.
func noTrial(m model.Member, err error) string {
	var answer *model.Problem
	if errors.As(err, &answer) {
		return fmt.Sprintf("%s: no trial run: %v", m.Name, err)
	}
	return unreachable(m, err)
}

func (u *Upgrader) answerCheck(ctx context.Context, in json.RawMessage) (any, error) {
	up, err := u.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := checkable(up); err != nil {
		return nil, err
	}
	return u.examine(ctx, up), nil
}

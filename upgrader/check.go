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
	"github.com/theseusd/theseus/upgrader/preflight"
)

// pathCheck asks a member for a trial run now.
const pathCheck = "/upgrade/check"

// CheckAll looks at every member that takes part, has those that could go try out
// what is staged, all at once, and nothing else: nothing is recorded, nothing is
// changed. When nothing is staged there is no trial run.
func (u *Upgrader) CheckAll(ctx context.Context) (model.CheckReport, error) {
	p, err := u.look()
	if err != nil {
		return model.CheckReport{}, err
	}
	p, err = inspectable(p)
	if err != nil {
		return model.CheckReport{}, err
	}
	o := model.Options{}
	if p.upgrade != nil {
		o.Exclude = p.upgrade.Options.Exclude
	}
	found, err := u.preflight(ctx, p, o)
	if err != nil {
		return model.CheckReport{}, err
	}
	return u.tryAll(ctx, p, o, append(found, u.estimated(ctx, p, o)...)), nil
}

// inspectable is the picture as it is before an upgrade. One that has finished is
// behind us.
func inspectable(p picture) (picture, error) {
	if p.upgrade != nil && p.upgrade.Phase == model.Finished {
		p.release, p.upgrade = p.upgrade, nil
	}
	if p.upgrade != nil {
		return p, checkable(p.upgrade)
	}
	return p, nil
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

// tryAll makes the report of what was found and of the trial runs.
func (u *Upgrader) tryAll(ctx context.Context, p picture, o model.Options, found []model.Finding) model.CheckReport {
	r := model.CheckReport{Findings: of("", found), Members: []model.CheckMember{}}
	if p.upgrade != nil {
		r.Version, r.Archive = p.upgrade.Archive.Version, "sha256:"+p.upgrade.Archive.Digest
	}
	ctx, cancel := context.WithTimeout(ctx, u.trialsLimit())
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex // held for r
	for _, m := range p.members {
		row := model.CheckMember{ID: m.ID, Name: m.Name, Findings: of(m.Name, found)}
		wg.Go(func() {
			u.checkOne(ctx, p, o, m, &row)
			mu.Lock()
			defer mu.Unlock()
			r.Members = append(r.Members, row)
		})
	}
	wg.Wait()
	slices.SortFunc(r.Members, func(a, b model.CheckMember) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	r.OK = len(r.Refusals()) == 0
	return r
}

// of are the findings of one member, or of the cluster as a whole.
func of(member string, found []model.Finding) []model.Finding {
	own := []model.Finding{}
	for _, f := range found {
		if f.Member == member {
			own = append(own, f)
		}
	}
	return own
}

// checkOne has one member try out what is staged, unless it is clear already that
// it cannot.
func (u *Upgrader) checkOne(ctx context.Context, p picture, o model.Options, m model.Member, row *model.CheckMember) {
	switch {
	case slices.Contains(o.Exclude, m.ID):
		row.Note = "left out by the operator"
		return
	case p.upgrade == nil:
		row.Note = "nothing is staged: no trial run"
		return
	case slices.ContainsFunc(row.Findings, func(f model.Finding) bool { return f.Severity == model.Hard }):
		row.Note = "no trial run before what was found is put right"
		return
	}
	var t trial
	if err := u.Cluster.Call(ctx, m.ID, pathCheck, u.question(p.upgrade), &t); err != nil {
		row.Findings = append(row.Findings, noTrial(m, err))
		return
	}
	for _, what := range t.Findings {
		row.Findings = append(row.Findings, model.Finding{Name: preflight.Trial, Severity: model.Hard, Member: m.Name, What: what,
			Remedy: "put right what it says, or stage another build"})
	}
	row.Replayed, row.Note, row.Took = t.Replayed, t.Note, t.Took.Round(time.Millisecond).String()
}

// noTrial says why there was no trial run on a member.
func noTrial(m model.Member, err error) model.Finding {
	var answer *model.Problem
	f := silentMember(m, err)
	if errors.As(err, &answer) {
		f = model.Finding{Name: preflight.Trial, Severity: model.Hard, What: fmt.Sprintf("no trial run: %v", err), Remedy: "try again; its log may say more"}
	}
	f.Member = m.Name
	return f
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

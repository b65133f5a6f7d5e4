package upgrader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/theseusd/theseus/model"
)

// pathStanding asks a member what it runs and whether it is well.
const pathStanding = "/upgrade/standing"

// standing is a member's answer. A member of an earlier build answers to whether
// it is well, and says no more.
type standing struct {
	well
	Version string `json:"version"`
	Lost    string `json:"lost"` // capabilities that the kept executable has and the running one has not
}

func (u *Upgrader) answerStanding(ctx context.Context, in json.RawMessage) (any, error) {
	answer, err := u.answerWell(ctx, in)
	if err != nil {
		return nil, err
	}
	lost, err := u.Own.LostCapabilities()
	if err != nil {
		return nil, model.Problemf(model.Unavailable, "%v", err)
	}
	return standing{well: answer.(well), Version: u.Self.Version, Lost: lost}, nil
}

// VerifyAll asks every member what it runs, observers too, and writes and reads
// through each. Nothing is changed but the canary.
func (u *Upgrader) VerifyAll(ctx context.Context) (model.VerifyReport, error) {
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return model.VerifyReport{}, err
	}
	p, err := u.look()
	if err != nil {
		return model.VerifyReport{}, err
	}
	if up := p.record(); up != nil && up.Phase.Status() == "working" {
		return model.VerifyReport{}, model.Problemf(model.Conflict, "the upgrade to %s is under way, and verifies every member by itself: %s", up.Archive.Version, statusHint)
	}
	v := u.verification(p)
	v.askAll(ctx)
	v.tryAll(ctx)
	v.addIssues()
	return v.done(), nil
}

// verification is a VerifyReport in the making.
type verification struct {
	*Upgrader
	picture
	release *model.Upgrade // what runs, if an upgrade brought it
	rows    map[string]*model.VerifyMember

	mu     sync.Mutex // held for report
	report model.VerifyReport
}

func (u *Upgrader) verification(p picture) *verification {
	v := &verification{Upgrader: u, picture: p, release: running(p), rows: map[string]*model.VerifyMember{}}
	v.report = model.VerifyReport{Version: p.cluster.Version, Cluster: p.cluster.Version, Findings: []model.Finding{}, Notes: []string{}}
	if v.release != nil {
		v.report.Version, v.report.Archive = v.release.Archive.Version, "sha256:"+v.release.Archive.Digest
	}
	if v.report.Version != v.report.Cluster {
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("the upgrade to %s is not completed: the cluster version is %s, and the way back is open", v.report.Version, v.report.Cluster))
	}
	for _, m := range p.members {
		v.rows[m.ID] = &model.VerifyMember{ID: m.ID, Name: m.Name, Observer: m.Observer, Version: m.Version, Image: m.Image}
	}
	return v
}

// running is the upgrade that brought what runs: the one on record if it has
// finished, or the last one that did. It is none once the cluster is elsewhere.
func running(p picture) *model.Upgrade {
	if p.upgrade != nil && p.upgrade.Phase == model.Finished {
		return p.upgrade
	}
	if r := p.release; r != nil && r.Archive.Version == p.cluster.Version {
		return r
	}
	return nil
}

func (v *verification) find(f model.Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f.Severity = model.Hard
	v.report.Findings = append(v.report.Findings, f)
}

// askAll asks all members at once.
func (v *verification) askAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, m := range v.members {
		wg.Go(func() {
			s, err := v.standingOf(ctx, m)
			if err != nil {
				v.find(unwell(m, err))
				return
			}
			v.hold(m, s)
		})
	}
	wg.Wait()
}

func (v *verification) standingOf(ctx context.Context, m model.Member) (s standing, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	err = v.Cluster.Call(ctx, m.ID, pathStanding, struct{}{}, &s)
	if model.KindOf(err) == model.NotFound {
		s.Version = m.Version
		err = v.Cluster.Call(ctx, m.ID, pathWell, struct{}{}, &s.well)
	}
	return s, err
}

// unwell tells a member that says what is wrong with it from one that says nothing.
func unwell(m model.Member, err error) model.Finding {
	f := model.Finding{Name: model.FindingAnswers, Member: m.Name}
	var said *model.Problem
	if errors.As(err, &said) {
		f.What = "is not well: " + said.Error()
		return f
	}
	f.What = fmt.Sprintf("does not answer on %s: %v", m.Raft, err)
	f.Remedy = fmt.Sprintf("start it, or remove it with `theseus system ha remove %s`", m.Name)
	return f
}

// hold compares what a member says of itself with the records, and these with
// what it should run. Who runs what no upgrade brought is in the issues.
func (v *verification) hold(m model.Member, s standing) {
	row := v.rows[m.ID]
	row.Version, row.Image, row.Applied, row.OK = s.Version, s.Image, s.Applied, true
	if s.Image != m.Image || s.Version != m.Version {
		v.find(model.Finding{Name: model.FindingRecord, Member: m.Name, What: "the records have not what it runs",
			Measured: s.Version + " " + s.Image, Limit: m.Version + " " + m.Image, Remedy: "ask again, it reports by itself; else restart it"})
	}
	if s.Lost != "" {
		v.find(model.Finding{Name: model.FindingCapabilities, Member: m.Name, What: "its executable has lost capabilities that the one before it has",
			Measured: "without " + s.Lost, Limit: "as before", Remedy: "set them with setcap and restart it"})
	}
	if len(stray(v.picture, m)) == 0 {
		v.holdTo(m, s)
	}
}

func (v *verification) holdTo(m model.Member, s standing) {
	remedy := "stage " + v.report.Version + " to bring every member there"
	if v.release != nil {
		if row := v.release.Member(m.ID); row != nil && !finished(*row) {
			remedy = "it was left out of the upgrade, and goes by itself: " + statusHint
		}
		want := v.release.Archive.Images[m.Platform]
		if want != "" && s.Image != want && s.Version == v.report.Version {
			v.find(model.Finding{Name: model.FindingImage, Member: m.Name, What: "runs another build of " + s.Version + " than the release on record",
				Measured: s.Image, Limit: want, Remedy: remedy})
		}
	}
	if s.Version != v.report.Version {
		v.find(model.Finding{Name: model.FindingVersion, Member: m.Name, What: "runs another version than the cluster",
			Measured: s.Version, Limit: v.report.Version, Remedy: remedy})
	}
}

// tryAll writes through one member after the other, since there is one canary.
func (v *verification) tryAll(ctx context.Context) {
	var able []model.Member
	for _, m := range v.members {
		if v.rows[m.ID].OK {
			able = append(able, m)
		}
	}
	slices.SortFunc(able, func(a, b model.Member) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	if v.cluster.Level == 0 {
		v.report.Notes = append(v.report.Notes, "no write was tried: the cluster is at protocol level 0, in which there is none to try with; the first upgrade that is completed changes that")
	}
	for i, m := range able {
		v.try(ctx, m, able[(i+1)%len(able)])
	}
}

// canaryTries is how often a write is tried when others write in between.
const canaryTries = 3

// try writes through a member and reads it back through it and through another.
func (v *verification) try(ctx context.Context, m, other model.Member) {
	for range canaryTries {
		c := model.Canary{Member: m.ID, Nonce: rand.Text()}
		before, err := v.readThrough(ctx, m)
		if err != nil {
			v.find(model.Finding{Name: model.FindingRead, Member: m.Name, What: fmt.Sprintf("a consistent read through it fails: %v", err)})
			return
		}
		if v.cluster.Level == 0 {
			v.rows[m.ID].Read = true
			return
		}
		if err := v.ask(ctx, m.ID, pathCanaryWrite, c, nil); err != nil {
			v.find(model.Finding{Name: model.FindingWrite, Member: m.Name, What: fmt.Sprintf("a write through it fails: %v", err)})
			return
		}
		v.rows[m.ID].Wrote = true
		if sure := v.readBack(ctx, m, other, before, c); sure {
			return
		}
	}
	v.find(model.Finding{Name: model.FindingRead, Member: m.Name, What: "what was written through it could not be read back: others wrote in between each time",
		Remedy: "verify again when nobody else does"})
}

// readBack says whether it is sure; it is not when another write came in between.
func (v *verification) readBack(ctx context.Context, m, other model.Member, before, c model.Canary) (sure bool) {
	for _, by := range []model.Member{m, other} {
		switch got, err := v.readThrough(ctx, by); {
		case err != nil:
			v.find(model.Finding{Name: model.FindingRead, Member: by.Name, What: fmt.Sprintf("a consistent read through it fails: %v", err)})
			return true
		case got == before:
			v.find(model.Finding{Name: model.FindingWrite, Member: m.Name, What: fmt.Sprintf("answered a write that is not read through %s: its writes are lost, or the reads of %s are stale", by.Name, by.Name)})
			return true
		case got != c:
			return false
		}
	}
	v.rows[m.ID].Read = true
	return true
}

func (v *verification) readThrough(ctx context.Context, m model.Member) (c model.Canary, err error) {
	err = v.ask(ctx, m.ID, pathCanaryRead, struct{}{}, &c)
	return c, err
}

func (v *verification) addIssues() {
	p := v.picture
	p.upgrade = p.record()
	for _, issue := range issues(p) {
		v.find(model.Finding{Name: model.FindingIssue, What: issue})
	}
}

// done sorts, and says of each member whether anything was found.
func (v *verification) done() model.VerifyReport {
	slices.SortFunc(v.report.Findings, func(a, b model.Finding) int {
		return strings.Compare(a.Member+" "+a.Name+" "+a.What, b.Member+" "+b.Name+" "+b.What)
	})
	for _, id := range slices.Sorted(maps.Keys(v.rows)) {
		row := *v.rows[id]
		row.OK = !slices.ContainsFunc(v.report.Findings, func(f model.Finding) bool { return f.Member == row.Name })
		v.report.Members = append(v.report.Members, row)
	}
	slices.SortFunc(v.report.Members, func(a, b model.VerifyMember) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	v.report.OK = len(v.report.Findings) == 0
	return v.report
}

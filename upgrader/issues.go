package upgrader

import (
	"fmt"
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/policy"
)

// Issues are what is out of the ordinary in the cluster, for people; staged or
// not. It may be called at any time.
func (u *Upgrader) Issues() ([]string, error) {
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	p.upgrade = p.record()
	return issues(p), nil
}

// issues are findings, members off the plan, and what members say of their own
// binaries.
func issues(p picture) []string {
	all := []string{}
	if p.upgrade != nil {
		all = append(all, scheduleIssues(p.upgrade)...)
		if why := p.cluster.Failed[p.upgrade.Archive.Digest]; why != "" {
			all = append(all, "this build failed before: "+why)
		}
		for _, row := range p.upgrade.Members {
			for _, f := range ailments(row) {
				all = append(all, p.members[row.ID].Name+": "+f)
			}
		}
	}
	for _, m := range p.members {
		for _, f := range append(stray(p, m), m.Issues...) {
			all = append(all, m.Name+": "+f)
		}
	}
	slices.Sort(all)
	return all
}

func ailments(row model.Progress) []string {
	all := slices.Clone(row.Findings)
	if row.Step == model.Broken || row.Step == model.Reverted {
		all = append(all, row.Reason)
	}
	return all
}

// stray says that a member runs what no upgrade brought it: its binary was
// replaced by hand or by a package manager.
func stray(p picture, m model.Member) []string {
	if p.upgrade != nil {
		if row := p.upgrade.Member(m.ID); row != nil {
			return strayFrom(p.upgrade, row, m)
		}
	}
	if policy.Older(p.cluster.Version, m.Version) {
		return []string{fmt.Sprintf("runs %s, and the cluster is at %s: its binary was replaced outside of an upgrade; stage %s to bring every member there",
			m.Version, p.cluster.Version, m.Version)}
	}
	return nil
}

func strayFrom(up *model.Upgrade, row *model.Progress, m model.Member) []string {
	target := up.Archive.Images[m.Platform]
	if m.Image == target || m.Image == row.Image && !finished(*row) {
		return nil
	}
	return []string{fmt.Sprintf("runs %s (%s), which this upgrade did not bring: its binary was replaced outside of it; stage an archive to bring every member to one release",
		m.Version, m.Image)}
}

package upgrader

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/policy"
)

// admit decides whether an upload may go to the cluster: the package itself,
// then each member by its own version and platform, then who is there at all.
// Members in exclude, by id, are not asked.
func (u *Upgrader) admit(ctx context.Context, spool *store.Spool, a model.Archive, exclude []string) (model.Archive, error) {
	pkg, err := staging.OpenContext(ctx, spool, a.Size, u.Limits)
	if err != nil {
		return a, err
	}
	facts, err := pkg.Verify(ctx, u.Trust)
	if err != nil {
		return a, err
	}
	a.Version, a.Images, a.CLIs = facts.Version, facts.Images, facts.CLIs
	p, err := u.look()
	if err != nil {
		return a, err
	}
	if up := p.record(); up != nil && unsettled(up) {
		return a, inBetween(p, up, "the next is staged")
	}
	if facts.Rules != nil && p.cluster.Level == 0 {
		return a, unruly(a.Version)
	}
	if len(facts.Migrations) > 0 && p.cluster.Level < migrationLevel {
		return a, unmigratable(a.Version)
	}
	a.Rules = facts.Rules
	a.Migrations = applicable(facts.Migrations, p.cluster.Version, a.Version)
	p.members = without(p.members, exclude)
	if reasons := misfits(p, a); len(reasons) > 0 {
		return a, &model.Problem{Kind: model.Refused, Messages: reasons}
	}
	absent := u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		var w well
		if err := u.Cluster.Call(ctx, m.ID, pathWell, struct{}{}, &w); err != nil {
			return []string{unreachable(m, err)}
		}
		return nil
	})
	if len(absent) > 0 {
		return a, &model.Problem{Kind: model.Refused, Messages: absent}
	}
	return a, nil
}

// unruly refuses a package with rules that members of an earlier build could not read.
func unruly(version string) error {
	return model.Problemf(model.Refused, "the package of %s asks for something (reachable or requires in its manifest.yaml), and members of this cluster may be too old to read that: upgrade to this build with a package that asks for nothing, complete that, and stage this one again", version)
}

// migrationLevel is the protocol level from which every member reads packages with migrations.
const migrationLevel = 2

// unmigratable refuses a package with migrations that members of an earlier build could not read.
func unmigratable(version string) error {
	return model.Problemf(model.Refused, "the package of %s brings migrations (in its manifest.yaml), and members of this cluster may be too old to read that: upgrade to this build with a package that brings none, complete that, and stage this one again", version)
}

// applicable are the migrations of a package that are to run on the way from one version
// to another. Within a release line the form of the data stays, and only tasks are.
func applicable(all []model.Migration, from, to string) []model.Migration {
	switch policy.Decide(from, to, policy.Options{}).Rule {
	case policy.Unreadable, policy.Downgrade, policy.Equal, policy.Patch:
		return slices.DeleteFunc(slices.Clone(all), func(m model.Migration) bool { return m.Phase != model.Task })
	}
	return all
}

// rulesOf are the rules of a package for a verdict.
func rulesOf(a model.Archive) policy.Options {
	if a.Rules == nil {
		return policy.Options{}
	}
	return policy.Options{Lowest: a.Rules.Lowest, Skips: a.Rules.Skips}
}

// without are the members but for those with the ids.
func without(members map[string]model.Member, ids []string) map[string]model.Member {
	rest := maps.Clone(members)
	for _, id := range ids {
		delete(rest, id)
	}
	return rest
}

// misfits is why members may not go to this archive, by name.
func misfits(p picture, a model.Archive) []string {
	var reasons []string
	ahead := 0
	for _, m := range p.members {
		image, there := a.Images[m.Platform]
		if !there {
			reasons = append(reasons, fmt.Sprintf("%s: the archive holds no binary for %s: build it with --bin %s=DIR", m.Name, m.Platform, m.Platform))
			continue
		}
		if m.Image == image {
			ahead++
			continue
		}
		if v := policy.Decide(m.Version, a.Version, rulesOf(a)); !v.Allowed {
			reasons = append(reasons, m.Name+": "+v.Reason)
		}
	}
	if ahead == len(p.members) && p.cluster.Version == a.Version {
		reasons = append(reasons, "every member runs this build of "+a.Version+" already")
	}
	slices.Sort(reasons)
	return reasons
}

package upgrader

import (
	"errors"
	"fmt"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/policy"
)

// Where a version of a plan is known from.
const (
	fromStaged = "staged"
	fromNamed  = "named"
)

// mostKnown is how many versions may be named for a plan.
const mostKnown = 500

// Plan is the way from the version of the cluster to another, over the staged
// package and the versions that the caller knows of. An empty to is the version
// that is staged.
func (u *Upgrader) Plan(to string, known []string) (model.Plan, error) {
	p, err := u.look()
	if err != nil {
		return model.Plan{}, err
	}
	if to == "" {
		if p.upgrade == nil {
			return model.Plan{}, nothingStaged()
		}
		to = p.upgrade.Archive.Version
	}
	if err := readable(to, known); err != nil {
		return model.Plan{}, err
	}
	return planned(p, to, known)
}

// readable refuses versions that cannot be read, by the name of the parameter.
func readable(to string, known []string) error {
	if !policy.Readable(to) {
		return model.Problemf(model.Malformed, "to: %q is not a semantic version such as 1.2.3", to)
	}
	for _, v := range known {
		if !policy.Readable(v) {
			return model.Problemf(model.Malformed, "known: %q is not a semantic version such as 1.2.3", v)
		}
	}
	if len(known) > mostKnown {
		return model.Problemf(model.Malformed, "known: %d versions, more than %d: name the latest of each release line", len(known), mostKnown)
	}
	return nil
}

// planned is the plan as of p.
func planned(p picture, to string, known []string) (model.Plan, error) {
	plan := model.Plan{From: departure(p), To: strings.TrimPrefix(to, "v"), Hops: []model.Hop{}}
	way, err := policy.Path(plan.From, to, releases(p, known))
	var none *policy.NoWay
	switch {
	case errors.As(err, &none) && none.Rule == policy.Equal && uncompleted(p):
		// there once what is pending is completed
	case errors.As(err, &none) && none.Rule == policy.Equal:
		return plan, model.Problemf(model.Refused, "the cluster is at %s already: there is nothing to plan", plan.From)
	case err != nil:
		return plan, model.Problemf(model.Refused, "plan: %v", err)
	}
	for _, h := range way.Hops {
		plan.Hops = append(plan.Hops, model.Hop{From: h.From, To: h.To, Rule: h.Rule, Reason: h.Reason + migrates(p, h), Known: h.Source, Backup: backedUp(h.Rule)})
	}
	plan.Warn = way.Warn
	plan.First = first(p, plan)
	return plan, nil
}

// migrates says which data the package of a hop migrates, if that is staged.
func migrates(p picture, h policy.Hop) string {
	if h.Source != fromStaged {
		return ""
	}
	names := unfinished(p.upgrade, model.Expand, model.Migrate, model.Contract)
	if len(names) == 0 {
		return ""
	}
	return "; its package migrates data: " + strings.Join(names, ", ")
}

// departure is the version that the first hop begins at: the cluster's, or the
// one that a pending completion makes it.
func departure(p picture) string {
	if uncompleted(p) {
		return p.upgrade.Archive.Version
	}
	return p.cluster.Version
}

// uncompleted says whether an upgrade is through and not completed.
func uncompleted(p picture) bool {
	return p.upgrade != nil && p.upgrade.Phase == model.Finished && !p.upgrade.Completed
}

// releases are those that are known, with the rules where their package is here.
func releases(p picture, known []string) (all []policy.Release) {
	if up := p.upgrade; up != nil && up.Phase != model.Finished {
		o := rulesOf(up.Archive)
		all = append(all, policy.Release{Version: up.Archive.Version, Lowest: o.Lowest, Skips: o.Skips, Source: fromStaged})
	}
	for _, v := range known {
		all = append(all, policy.Release{Version: v, Source: fromNamed})
	}
	return all
}

// backedUp says whether a hop by this rule has a backup made before it.
func backedUp(rule string) bool {
	return rule == policy.Minor || rule == policy.Major || rule == policy.Exception
}

// first is what has to be done before the first hop of a plan.
func first(p picture, plan model.Plan) []string {
	up := p.upgrade
	if up == nil {
		return nil
	}
	version := up.Archive.Version
	switch {
	case uncompleted(p) && len(unfinished(up, model.Expand, model.Migrate)) > 0:
		return []string{fmt.Sprintf("the upgrade to %s waits for %s: `theseus system upgrade progress`", version, dataText(p, unfinished(up, model.Expand, model.Migrate)))}
	case uncompleted(p):
		return []string{fmt.Sprintf("the upgrade to %s is not completed: see what it waits for (`theseus system upgrade status`), or end it with `theseus system upgrade complete`", version)}
	case up.Phase.Status() == "working":
		return []string{fmt.Sprintf("let the upgrade to %s, which is under way, come to its end: %s", version, statusHint)}
	case up.Phase == model.Failed:
		return []string{fmt.Sprintf("the upgrade to %s failed: go on with it with `theseus system upgrade start`, or clear it away with `theseus system upgrade unstage`", version)}
	case up.Phase == model.Staged && (len(plan.Hops) == 0 || plan.Hops[0].To != version):
		return []string{fmt.Sprintf("%s is staged, which is not the first hop: clear it away with `theseus system upgrade unstage`", version)}
	}
	return nil
}

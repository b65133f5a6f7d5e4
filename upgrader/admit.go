package upgrader

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/policy"
)

// admit decides whether an upload may go to the cluster: the package itself,
// then each member by its own version and platform, then who is there at all.
func (u *Upgrader) admit(ctx context.Context, spool *store.Spool, a model.Archive) (model.Archive, error) {
	pkg, err := staging.Open(spool, a.Size, u.Limits)
	if err != nil {
		return a, err
	}
	facts, err := pkg.Verify(ctx, u.Trust)
	if err != nil {
		return a, err
	}
	a.Version, a.Images = facts.Version, facts.Images
	p, err := u.look()
	if err != nil {
		return a, err
	}
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

// misfits is why members may not go to this archive, by name.
func misfits(p picture, a model.Archive) []string {
	var reasons []string
	if why := p.cluster.Failed[a.Digest]; why != "" {
		reasons = append(reasons, "this build failed before: "+why+": build another archive")
	}
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
		if v := policy.Decide(m.Version, a.Version, policy.Options{}); !v.Allowed {
			reasons = append(reasons, m.Name+": "+v.Reason)
		}
	}
	if ahead == len(p.members) {
		reasons = append(reasons, "every member runs this build of "+a.Version+" already")
	}
	slices.Sort(reasons)
	return reasons
}

func unreachable(m model.Member, err error) string {
	return fmt.Sprintf("%s: does not answer on %s (%v): start it, or remove it with `theseus system ha remove %s`", m.Name, m.Raft, err, m.Name)
}

// askLimit is how long one member may take to answer a question.
const askLimit = 5 * time.Second

// everyone asks all members at once and gathers their reasons, sorted.
func (u *Upgrader) everyone(ctx context.Context, p picture, ask func(context.Context, model.Member) []string) []string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var reasons []string
	for _, m := range p.members {
		wg.Go(func() {
			found := ask(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			reasons = append(reasons, found...)
		})
	}
	wg.Wait()
	slices.Sort(reasons)
	return reasons
}

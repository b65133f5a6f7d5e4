package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// pathEstimate asks a member to estimate what the migrations that are staged have to do.
const pathEstimate = "/upgrade/estimate"

const (
	// estimateLimit is how long the migrations of a package may take to estimate
	// their work, for a report that people ask for.
	estimateLimit = 20 * time.Second
	// runnableLimit is how long they are let run before a start, which only has to
	// know that they can be run.
	runnableLimit = 3 * time.Second
	// samples is how many writes are timed.
	samples = 5
)

type estimateQuestion struct {
	upgradeQuestion
	Within time.Duration `json:"within"`
}

// estimate is what a migration says of its work on one member.
type estimate struct {
	Name    string        `json:"name"`
	Items   int64         `json:"items"`
	Commits int64         `json:"commits"`
	Took    time.Duration `json:"took"`  // to read it all
	Error   string        `json:"error"` // why there is no estimate, or ""
	Unfit   bool          `json:"unfit"` // it cannot even be run there
}

func (u *Upgrader) answerEstimate(ctx context.Context, in json.RawMessage) (any, error) {
	var q estimateQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	up, err := u.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, q.Within, fmt.Errorf("it was not done within %s", span(q.Within)))
	defer cancel()
	all := []estimate{}
	for _, name := range unfinished(up, model.Expand, model.Migrate) {
		all = append(all, u.estimate(ctx, up, *up.Archive.Migration(name)))
	}
	return all, nil
}

// estimate has one migration estimate its work. One that ran, however that ended,
// can be run: it may be that it has no way to estimate.
func (u *Upgrader) estimate(ctx context.Context, up *model.Upgrade, m model.Migration) estimate {
	if ctx.Err() != nil {
		return estimate{Name: m.Name, Error: "the migrations before it took all the time"}
	}
	began := time.Now()
	told, err := u.tryMigration(ctx, up, m, verbEstimate)
	e := estimate{Name: m.Name, Items: told.Items, Commits: told.Commits, Took: time.Since(began)}
	if err != nil {
		var ended *exec.ExitError
		e.Error, e.Unfit = brief(err), !errors.As(err, &ended) && ctx.Err() == nil
	}
	return e
}

// estimates is what the members say of the migrations that are staged.
type estimates struct {
	*Upgrader
	upgrade *model.Upgrade
	options model.Options

	mu    sync.Mutex // held for what follows
	best  map[string]estimate
	why   map[string]string // there is no estimate of a migration
	found []model.Finding
}

// tryMigrations has every member that may lead, and so run them, try the migrations
// that are staged.
func (u *Upgrader) tryMigrations(ctx context.Context, p picture, o model.Options, within time.Duration) *estimates {
	e := &estimates{Upgrader: u, upgrade: p.upgrade, options: o, best: map[string]estimate{}, why: map[string]string{}}
	if p.upgrade == nil || len(unfinished(p.upgrade, model.Expand, model.Migrate)) == 0 {
		return e
	}
	var wg sync.WaitGroup
	for _, m := range without(p.members, o.Exclude) {
		if !m.Observer {
			wg.Go(func() { e.ask(ctx, m, within) })
		}
	}
	wg.Wait()
	return e
}

// ask has one member estimate. One that does not answer is found elsewhere.
func (e *estimates) ask(ctx context.Context, m model.Member, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within+askLimit)
	defer cancel()
	var all []estimate
	if err := e.Cluster.Call(ctx, m.ID, pathEstimate, estimateQuestion{upgradeQuestion: e.question(e.upgrade), Within: within}, &all); err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range all {
		e.add(m, one)
	}
}

// add keeps the estimate of the member that took longest: any may come to lead.
func (e *estimates) add(m model.Member, one estimate) {
	switch {
	case one.Unfit:
		e.found = append(e.found, model.Finding{Name: preflight.Migrations, Severity: model.Hard, Member: m.Name,
			What:   fmt.Sprintf("the migration %s cannot be run there: %s", one.Name, one.Error),
			Remedy: "stage a package whose migrations run on " + m.Platform + " without anything that is not in it, or put right what it says"})
	case one.Error != "":
		e.why[one.Name] = m.Name + ": " + one.Error
	case one.Took >= e.best[one.Name].Took:
		e.best[one.Name] = one
	}
}

// estimated says of the migrations that are staged where they cannot be run, how
// much they have to do and how long that takes.
func (u *Upgrader) estimated(ctx context.Context, p picture, o model.Options) []model.Finding {
	e := u.tryMigrations(ctx, p, o, estimateLimit)
	if e.upgrade == nil {
		return nil
	}
	names := unfinished(e.upgrade, model.Expand, model.Migrate)
	if len(names) == 0 || len(e.found) > 0 {
		return e.found
	}
	if reason := e.missing(names); reason != "" {
		return []model.Finding{{Name: preflight.Migrations, Severity: model.Advice, What: "how long the data takes to migrate could not be estimated: " + reason}}
	}
	cost, err := u.writeCost(ctx)
	if err != nil {
		return []model.Finding{{Name: preflight.Migrations, Severity: model.Advice, What: fmt.Sprintf("how long the data takes to migrate could not be estimated: time a write: %v", err)}}
	}
	return []model.Finding{e.forecast(names, cost)}
}

func (e *estimates) missing(names []string) string {
	for _, name := range names {
		if _, told := e.best[name]; told {
			continue
		}
		if why, said := e.why[name]; said {
			return fmt.Sprintf("%s on %s", name, why)
		}
		return name + ": no member that may run it has answered"
	}
	return ""
}

// writeCost is the median of what writes of nothing take now.
func (u *Upgrader) writeCost(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range samples {
		began := time.Now()
		if err := u.propose(ctx, store.OpProbe, store.Probe{Member: u.Self.ID}); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[samples/2], nil
}

// forecast is how long it all takes at least: to read everything once, as the
// estimate did, and a commit for each write, which takes longer the more is in it.
// In the background it rests as long as it works.
func (e *estimates) forecast(names []string, cost time.Duration) model.Finding {
	var items, commits int64
	var read time.Duration
	for _, name := range names {
		one := e.best[name]
		items, commits, read = items+one.Items, commits+one.Commits, read+one.Took
	}
	complete := read + time.Duration(commits)*cost
	background, how := 2*complete, "resting as long as it works"
	if rate := e.options.Throttle; rate > 0 {
		complete = max(complete, time.Duration(float64(items)/float64(rate)*float64(time.Second)))
		background, how = complete, fmt.Sprintf("%d items a second at most", rate)
	}
	return model.Finding{Name: preflight.Migrations, Severity: model.Advice,
		What: fmt.Sprintf("%s: %d items are to be migrated in %d writes. In mode complete that takes about %s at least, and nobody else writes meanwhile; in mode background about %s, %s, while the cluster serves",
			strings.Join(names, ", "), items, commits, roughly(complete), roughly(background), how),
		Measured: fmt.Sprintf("%s a write, %s to read it all", cost.Round(10*time.Microsecond), read.Round(time.Millisecond)),
		Remedy:   "choose with `--mode complete` or `--mode background`"}
}

// roughly is d as precisely as one knows it.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "a second"
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	}
	return span(d.Round(time.Minute))
}

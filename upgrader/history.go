package upgrader

import (
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Past is an upgrade that has ended, in a list of them.
type Past struct {
	ID        string `json:"id"`
	From      string `json:"from"` // version of the cluster when it was staged
	To        string `json:"to"`
	Archive   string `json:"archive"` // sha256:<hex>
	Status    string `json:"status"`  // finished or failed
	Final     string `json:"final-state"`
	By        string `json:"by"`      // who staged it
	Staged    string `json:"staged"`  // RFC 3339, as are
	Started   string `json:"started"` // its first run and
	Ended     string `json:"ended"`   // the end of its last
	Took      string `json:"took"`    // from Started to Ended: 1m2.5s
	Completed bool   `json:"completed"`
}

// PastUpgrade is all that is known of one.
type PastUpgrade struct {
	Past
	Runs       int          `json:"runs"`
	Options    PastOptions  `json:"options"` // of its last run
	Transcript []string     `json:"transcript"`
	Members    []PastMember `json:"members"`
}

// PastOptions are what an operator said of its last run.
type PastOptions struct {
	Deadline  string   `json:"deadline"`
	Probation string   `json:"probation"`
	Window    string   `json:"window,omitempty"`
	Exclude   []string `json:"exclude,omitempty"` // names; ids of those that have left
}

// PastMember is what came of one member.
type PastMember struct {
	ID       string `json:"id"`
	Name     string `json:"name"` // its id when it has left the cluster since
	From     string `json:"from"` // version that it ran before
	Step     string `json:"step"`
	Reason   string `json:"reason"`
	Attempts int    `json:"attempts"` // over all runs
	Claimed  string `json:"claimed"`  // RFC 3339: when it last took its turn
	Settled  string `json:"settled"`  // and when that ended
	Out      string `json:"out"`      // from one to the other, probation included: 12.1s; "" when it never was
}

// History are the upgrades that have ended as v has them, the newest first.
func History(v *store.View) ([]Past, error) {
	all, err := v.History()
	if err != nil {
		return nil, err
	}
	list := []Past{}
	for _, u := range all {
		list = append(list, past(u))
	}
	return list, nil
}

// HistoryItem is one of them by its id, or a NotFound problem.
func HistoryItem(v *store.View, id string) (PastUpgrade, error) {
	u, err := v.HistoryItem(id)
	if err == store.ErrNotFound {
		return PastUpgrade{}, model.Problemf(model.NotFound, "the history holds no upgrade %q: `theseus system upgrade history` lists all", id)
	}
	if err != nil {
		return PastUpgrade{}, err
	}
	members, err := v.Members()
	if err != nil {
		return PastUpgrade{}, err
	}
	return pastUpgrade(u, members), nil
}

func past(u model.Upgrade) Past {
	return Past{ID: u.ID, From: u.From, To: u.Archive.Version, Archive: "sha256:" + u.Archive.Digest,
		Status: pastStatus(u), Final: u.Final, By: u.By,
		Staged: u.Staged, Started: u.Started, Ended: u.Ended, Took: between(u.Started, u.Ended), Completed: u.Completed}
}

// pastStatus is finished or failed, also of one that was stopped at work.
func pastStatus(u model.Upgrade) string {
	if u.Phase == model.Finished {
		return string(model.Finished)
	}
	return string(model.Failed)
}

func pastUpgrade(u model.Upgrade, members []model.Member) PastUpgrade {
	names := map[string]string{}
	for _, m := range members {
		names[m.ID] = m.Name
	}
	name := func(id string) string {
		if names[id] == "" {
			return id
		}
		return names[id]
	}
	p := PastUpgrade{Past: past(u), Runs: u.Runs, Transcript: append([]string{}, u.Transcript...), Members: []PastMember{},
		Options: PastOptions{Deadline: span(u.Options.Deadline), Probation: span(u.Options.Probation), Window: u.Options.Window}}
	for _, id := range u.Options.Exclude {
		p.Options.Exclude = append(p.Options.Exclude, name(id))
	}
	for _, m := range u.Members {
		p.Members = append(p.Members, PastMember{ID: m.ID, Name: name(m.ID), From: m.From, Step: string(m.Step), Reason: m.Reason,
			Attempts: m.Attempt, Claimed: m.Claimed, Settled: m.Settled, Out: between(m.Claimed, m.Settled)})
	}
	return p
}

// between is the time between two stamps, or "" when one of them is missing. The
// clocks of two members may have written them, so that it is never below nought.
func between(from, to string) string {
	a, errFrom := time.Parse(time.RFC3339, from)
	b, errTo := time.Parse(time.RFC3339, to)
	if errFrom != nil || errTo != nil {
		return ""
	}
	return span(max(0, b.Sub(a).Round(time.Millisecond)))
}

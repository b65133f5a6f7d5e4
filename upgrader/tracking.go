package upgrader

import "github.com/theseusd/theseus/model"

// rendered is the tracking profile as of one index of the store.
type rendered struct {
	index   uint64
	known   bool
	profile model.Profile
	err     error
}

// Status is the tracking profile, or a NotFound problem when nothing is staged.
// It is rendered once per change of the records, however often it is read; the
// caller must not change it.
func (u *Upgrader) Status() (model.Profile, error) {
	index := u.Store.Applied()
	u.mu.Lock()
	r := u.rendered
	u.mu.Unlock()
	if r.known && r.index == index {
		return r.profile, r.err
	}
	r = rendered{index: index, known: true}
	r.profile, r.err = u.render()
	u.mu.Lock()
	u.rendered = r
	u.mu.Unlock()
	return r.profile, r.err
}

func (u *Upgrader) render() (model.Profile, error) {
	p, err := u.look()
	if err != nil {
		return model.Profile{}, err
	}
	if p.upgrade == nil {
		return model.Profile{}, nothingStaged()
	}
	prof := profile(p)
	if len(p.upgrade.Archive.Migrations) == 0 {
		return prof, nil
	}
	prof.Params["migration"], err = u.dataReport(func(p picture) *model.Upgrade { return p.upgrade })
	return prof, err
}

// profile renders the record for people and for Digital Rebar's clients.
func profile(p picture) model.Profile {
	up := p.upgrade
	params := map[string]any{
		"status":       up.Phase.Status(),
		"transcript":   append([]string{}, up.Transcript...),
		"progress":     percent(up),
		"archive":      "sha256:" + up.Archive.Digest,
		"from-version": up.From,
		"to-version":   up.Archive.Version,
		"completed":    up.Completed,
		"nodes":        nodes(p),
		"issues":       issues(p),
	}
	if up.Phase == model.Finished || up.Phase == model.Failed {
		params["final-state"] = up.Final
	}
	if up.Phase == model.Rolling || up.Phase == model.Reverting {
		node, state := working(p)
		if node != "" {
			params["working-node"] = node
		}
		params["working-state"] = state
	}
	if w := waitingFor(p); w != nil {
		params["waiting-for"] = w
	}
	if up.Paused != nil {
		params["paused"] = up.Paused
	}
	if up.Rollback != "" {
		params["roll-back"] = model.BackAsked
	} else if up.Back != "" {
		params["roll-back"] = up.Back
	}
	if up.Proof != nil {
		params["proof"] = proofOf(p)
	}
	if up.Options.Window != "" {
		params["window"] = up.Options.Window
	}
	if up.Schedule != nil {
		params["scheduled"] = up.Schedule
	}
	prof := model.Profile{Name: model.TrackingProfile, ReadOnly: true,
		Description: "The state of the system upgrade", Params: params}
	prof.Fill()
	return prof
}

// proof is the param of that name: what was found out on the first member that
// was through.
type proof struct {
	Node     string   `json:"node"`
	At       string   `json:"at"`
	WayBack  bool     `json:"way-back"` // the kept binary reads what the new one wrote
	Findings []string `json:"findings"`
}

func proofOf(p picture) proof {
	made := p.upgrade.Proof
	return proof{Node: p.members[made.Member].Name, At: made.At, WayBack: len(made.Findings) == 0, Findings: append([]string{}, made.Findings...)}
}

// node is one row of the param nodes.
type node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	API     string `json:"api"`
	Version string `json:"version"`
	Image   string `json:"image"`
	Step    string `json:"step"`
	Since   string `json:"since"`
	Reason  string `json:"reason"`
	Attempt int    `json:"attempt"`
}

func nodes(p picture) []node {
	all := []node{}
	for _, row := range p.upgrade.Members {
		m := p.members[row.ID]
		all = append(all, node{ID: row.ID, Name: m.Name, API: m.API, Version: m.Version, Image: m.Image,
			Step: string(row.Step), Since: row.Since, Reason: row.Reason, Attempt: row.Attempt - row.Before})
	}
	return all
}

// percent counts the members that are through; the last tenth is verifying.
func percent(up *model.Upgrade) int {
	if up.Phase == model.Finished {
		return 100
	}
	through := 0
	for _, row := range up.Members {
		if finished(row) || up.Phase == model.Reverting && row.Step != model.Reverted && row.Step != model.Excluded {
			through++
		}
	}
	return 90 * through / max(1, len(up.Members))
}

package upgrader

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

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
	return profile(p), nil
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
	if up.Phase == model.Rolling {
		node, state := working(p)
		if node != "" {
			params["working-node"] = node
		}
		params["working-state"] = state
	}
	if w := waitingFor(p); w != nil {
		params["waiting-for"] = w
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
		if finished(row) {
			through++
		}
	}
	return 90 * through / max(1, len(up.Members))
}

// working is the member that is out or about to go, and where it stands.
func working(p picture) (api, state string) {
	up := p.upgrade
	row := turnOf(up)
	if row == nil {
		return "", "between two members"
	}
	m := p.members[row.ID]
	what := map[model.Step]string{
		model.Waiting:   "makes ready to swap its binary",
		model.Claimed:   "has claimed its turn",
		model.Draining:  "drains: clients are asked to come back on new connections",
		model.Leaving:   "swaps its binary, restarts and rejoins",
		model.Probation: "runs " + m.Version + " on probation",
	}[row.Step]
	return m.API, fmt.Sprintf("%s %s (attempt %d)", m.Name, what, row.Attempt-row.Before)
}

// waitingFor says what an upgrade under way waits for and what may be done.
func waitingFor(p picture) *WaitingFor {
	up := p.upgrade
	stop := "theseus system upgrade unstage: ends after the step under way and clears it away"
	w := &WaitingFor{Since: up.Since, Choices: []string{"wait", stop}}
	switch up.Phase {
	case model.Staged:
		w.What, w.Choices = "the operator", []string{"theseus system upgrade start", "theseus system upgrade unstage"}
	case model.Checking:
		w.What = "the trial run on " + pending(p, func(r model.Progress) bool { return r.Checked != up.Runs }) + fmt.Sprintf(", %s at most", span(limit(up)))
	case model.Rolling:
		w.What = rollingFor(p)
		if row := turnOf(up); row != nil {
			w.Since = row.Since
		}
	case model.Verifying:
		w.What = "a write and a read through " + pending(p, func(r model.Progress) bool { return !r.Verified }) + fmt.Sprintf(", %s at most", span(limit(up)))
	case model.Failed:
		w.What, w.Choices = "the operator", []string{"theseus system upgrade start: go on where it stopped", "theseus system upgrade unstage"}
		if p.cluster.Failed[up.Archive.Digest] != "" {
			w.Choices = []string{"theseus system upgrade unstage, then stage another build: this one failed"}
		}
	case model.Finished:
		if up.Completed {
			return nil
		}
		w.What, w.Choices = "completion: "+behindText(p)+" on "+up.Archive.Version, []string{"start what is down: it follows by itself",
			"theseus system ha remove NAME", "theseus system upgrade complete --without NAME: the way back closes, it follows when it is back"}
	}
	if up.Schedule != nil {
		w.What = scheduleText(up.Schedule, time.Now())
		w.Choices = []string{"wait", "theseus system upgrade cancel: it stays as it is", "theseus system upgrade unstage"}
	}
	if up.Stop {
		w.What = "the step under way to end, then all is cleared (stop was asked); now: " + w.What
	}
	return w
}

// behindText names the members that do not run the target.
func behindText(p picture) string {
	var all []string
	for _, m := range p.members {
		if m.Image != p.upgrade.Archive.Images[m.Platform] {
			all = append(all, m.Name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func rollingFor(p picture) string {
	row := turnOf(p.upgrade)
	if w := p.upgrade.Options.Window; row == nil && w != "" {
		return windowText(w, time.Now()) + ", then every other member to be up"
	}
	if row == nil {
		return "every other member to be up before the next one goes, or leadership to move to one that is done"
	}
	name := p.members[row.ID].Name
	if row.Step == model.Probation {
		return fmt.Sprintf("%s to stay well for %s", name, span(p.upgrade.Options.Probation))
	}
	return fmt.Sprintf("%s to be back on %s, %s at most", name, p.upgrade.Archive.Version, span(p.upgrade.Options.Deadline))
}

func pending(p picture, is func(model.Progress) bool) string {
	var names []string
	for _, row := range p.upgrade.Members {
		if is(row) {
			names = append(names, p.members[row.ID].Name)
		}
	}
	return strings.Join(names, ", ")
}

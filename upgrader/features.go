package upgrader

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Features are what this version can do that an earlier one could not, and what
// of it is off: until completion, members may go back to a version that would not
// read it. It may be called on any member; only what the leader's version knows
// can be used.
func (u *Upgrader) Features() ([]model.Feature, error) {
	p, err := u.look()
	if err != nil {
		return nil, err
	}
	data, err := u.dataReport(func(p picture) *model.Upgrade { return p.upgrade })
	if err != nil {
		return nil, err
	}
	left, _, err := u.unconverted()
	if err != nil {
		return nil, err
	}
	all := []model.Feature{}
	for _, f := range store.Features() {
		one := model.Feature{Name: f.Name, What: f.What}
		closed := store.Gate(f.Needs, p.cluster)
		switch {
		case closed == nil && slices.ContainsFunc(left, func(c store.Converted) bool { return c.Name == f.Form }):
			one.Reason = "off until the records are in the form of this version: `theseus jobs list` shows how far the job " + convertAction + " is"
		case closed == nil:
			one.Active = true
		case errors.Is(closed, store.ErrGate):
			one.Reason = u.opens(p) + waitsForData(p, data)
		default:
			return nil, closed
		}
		all = append(all, one)
	}
	return all, nil
}

// waitsForData says which migrations completion waits for beside, and how far they are.
func waitsForData(p picture, r model.MigrationReport) string {
	left := undoneText(r, model.Expand, model.Migrate)
	if up := p.upgrade; left == "" || up == nil || up.Completed || up.Phase == model.Staged {
		return ""
	}
	return "; completion waits for the migration of the data: " + left
}

// opens says when what is off opens.
func (u *Upgrader) opens(p picture) string {
	if up := p.upgrade; up != nil && !up.Completed && up.Archive.Version == u.Self.Version && up.Phase != model.Staged {
		return fmt.Sprintf("off until the upgrade to %s is completed: until then members may go back to %s, which would not read it", up.Archive.Version, p.cluster.Version)
	}
	var older []string
	for _, m := range p.members {
		if m.Image != u.Self.Image {
			older = append(older, fmt.Sprintf("%s runs %s", m.Name, m.Version))
		}
	}
	slices.Sort(older)
	if len(older) > 0 {
		return "off until every member runs this build: " + strings.Join(older, ", ")
	}
	return fmt.Sprintf("off until an upgrade to a build like this one is completed: the cluster was begun by an earlier one of %s", p.cluster.Version)
}

package upgrader

import (
	"testing"

	"github.com/theseusd/theseus/model"
)

// While the next upgrade is staged, the archive of the last one stays as long as
// a migration of it may have to run, and no longer.
func TestTheArchiveOfTheLastUpgradeStaysWhileAMigrationOfItMayRun(t *testing.T) {
	move, drop := model.Migration{Name: "move", Phase: model.Migrate}, model.Migration{Name: "drop", Phase: model.Contract}
	for name, one := range map[string]struct {
		brings    []model.Migration
		migrated  []string
		completed bool
		stays     bool
	}{
		"it brings none":                            {},
		"data is not migrated":                      {brings: []model.Migration{move}, stays: true},
		"data was migrated, it is not completed":    {brings: []model.Migration{move}, migrated: []string{"move"}, stays: true},
		"it is completed":                           {brings: []model.Migration{move}, migrated: []string{"move"}, completed: true},
		"it is completed, the old form is to go":    {brings: []model.Migration{move, drop}, migrated: []string{"move"}, completed: true, stays: true},
		"it is completed, and the old form is gone": {brings: []model.Migration{move, drop}, migrated: []string{"move", "drop"}, completed: true},
	} {
		u := &Upgrader{held: map[string]bool{}}
		p := picture{
			upgrade: &model.Upgrade{ID: "next", Phase: model.Staged, Archive: model.Archive{Digest: "next"}},
			release: &model.Upgrade{ID: "last", Phase: model.Finished, Completed: one.completed, Migrated: one.migrated,
				Archive: model.Archive{Digest: "last", Migrations: one.brings}},
		}
		if got := u.wanted(p, "last"); got != one.stays {
			t.Errorf("%s: its archive stays: %t", name, got)
		}
		if p.byID("last") != p.release || p.byID("next") != p.upgrade || p.byID("other") != nil {
			t.Errorf("%s: an upgrade is not found by its id", name)
		}
	}
}

package upgrader

import (
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// What is paused goes on when somebody says so, also when all members are through
// and only the data is left.
func TestAPausedUpgradeWithDataLeftOffersToBeResumed(t *testing.T) {
	p := picture{members: map[string]model.Member{}, cluster: model.Cluster{Level: migrationLevel}, upgrade: &model.Upgrade{Phase: model.Finished,
		Paused: &model.Pause{By: "admin"}, Archive: model.Archive{Migrations: []model.Migration{{Name: "move", Phase: model.Migrate}}}}}
	w := waitingFor(p)
	if w == nil || !slices.Contains(w.Choices, chooseResume) || slices.Contains(w.Choices, chooseComplete) ||
		!strings.Contains(w.What, "paused by admin") || !strings.Contains(w.What, "move has yet to run") {
		t.Errorf("it waits for %+v", w)
	}
}

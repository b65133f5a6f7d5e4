package upgrader

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// What an upgrade on record means for a plan from 1.0.0 to 1.2.0, over 1.1.0.
func TestAPlanSaysWhatComesFirst(t *testing.T) {
	data := model.Archive{Migrations: []model.Migration{{Name: "move", Phase: model.Migrate}}}
	for _, c := range []struct {
		what, to  string
		upgrade   *model.Upgrade
		hops, say string // say: how the only thing to do first begins; "": nothing
	}{
		{"nothing", "1.2.0", nil, "1.1.0 1.2.0", ""},
		{"the first hop is staged", "1.2.0", &model.Upgrade{Phase: model.Staged}, "1.1.0 1.2.0", ""},
		{"another version is staged", "1.0.4", &model.Upgrade{Phase: model.Staged}, "1.0.4", "1.1.0 is staged, which is not the first hop: clear it away"},
		{"under way", "1.2.0", &model.Upgrade{Phase: model.Rolling}, "1.1.0 1.2.0", "let the upgrade to 1.1.0, which is under way"},
		{"failed", "1.2.0", &model.Upgrade{Phase: model.Failed}, "1.1.0 1.2.0", "the upgrade to 1.1.0 failed: go on with it"},
		{"not completed", "1.2.0", &model.Upgrade{Phase: model.Finished}, "1.2.0", "the upgrade to 1.1.0 is not completed"},
		{"not completed, with data to migrate", "1.2.0", &model.Upgrade{Phase: model.Finished, Archive: data}, "1.2.0", "the upgrade to 1.1.0 waits for the data: move has yet to run"},
		{"not completed, and no further", "1.1.0", &model.Upgrade{Phase: model.Finished}, "", "the upgrade to 1.1.0 is not completed"},
		{"completed", "1.2.0", &model.Upgrade{Phase: model.Finished, Completed: true}, "1.1.0 1.2.0", ""},
	} {
		p := picture{cluster: model.Cluster{Version: "1.0.0"}, upgrade: c.upgrade}
		if c.upgrade != nil {
			c.upgrade.Archive.Version = "1.1.0"
		}
		plan, err := planned(p, c.to, []string{"1.1.0"})
		var hops []string
		for _, h := range plan.Hops {
			hops = append(hops, h.To)
		}
		if got := strings.Join(hops, " "); err != nil || got != c.hops {
			t.Errorf("%s: hops %q, want %q, %v", c.what, got, c.hops, err)
		}
		if got := strings.Join(plan.First, "\n"); !strings.HasPrefix(got, c.say) || c.say == "" && got != "" {
			t.Errorf("%s: first %q, want %q", c.what, got, c.say)
		}
	}
}

func TestAPlanTellsWhereAVersionIsKnownFromAndBeforeWhatABackupIsMade(t *testing.T) {
	p := picture{cluster: model.Cluster{Version: "1.0.0"}, upgrade: &model.Upgrade{Phase: model.Staged, Archive: model.Archive{
		Version: "3.4.0", Rules: &model.Rules{Lowest: "2.0.5", Skips: []string{"2.0"}}}}}
	plan, err := planned(p, "v3.4.2", []string{"v2.0.1", "3.4.2"})
	if err != nil || plan.To != "3.4.2" || len(plan.Hops) != 3 {
		t.Fatalf("%+v, %v", plan, err)
	}
	for i, want := range []model.Hop{
		{From: "1.0.0", To: "2.0.5", Rule: "major", Backup: true},
		{From: "2.0.5", To: "3.4.0", Rule: "exception", Known: "staged", Backup: true},
		{From: "3.4.0", To: "3.4.2", Rule: "patch", Known: "named"},
	} {
		want.Reason = plan.Hops[i].Reason
		if plan.Hops[i] != want {
			t.Errorf("hop %d: %+v, want %+v", i+1, plan.Hops[i], want)
		}
	}
}

func TestAPlanNamesTheDataThatTheStagedPackageMigrates(t *testing.T) {
	p := picture{cluster: model.Cluster{Version: "1.0.0"}, upgrade: &model.Upgrade{Phase: model.Staged, Archive: model.Archive{Version: "1.1.0",
		Migrations: []model.Migration{{Name: "widen", Phase: model.Expand}, {Name: "move", Phase: model.Migrate}, {Name: "tell", Phase: model.Task}}}}}
	plan, err := planned(p, "1.2.0", []string{"1.2.0"})
	if err != nil || len(plan.Hops) != 2 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if !strings.HasSuffix(plan.Hops[0].Reason, "; its package migrates data: widen, move") || strings.Contains(plan.Hops[1].Reason, "migrates") {
		t.Errorf("%+v", plan.Hops)
	}
}

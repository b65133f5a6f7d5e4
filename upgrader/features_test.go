package upgrader

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestWhatIsOffSaysWhenItOpens(t *testing.T) {
	const old, now = "sha256:old", "sha256:now"
	u := &Upgrader{Config: Config{Self: model.Member{Version: "1.1.0", Image: now}}}
	members := map[string]model.Member{"1": {Name: "n1", Image: now, Version: "1.1.0"}, "2": {Name: "n2", Image: old, Version: "1.0.0"}}
	up := func(phase model.Phase, completed bool) *model.Upgrade {
		return &model.Upgrade{Phase: phase, Completed: completed, Archive: model.Archive{Version: "1.1.0"}}
	}
	for _, c := range []struct {
		name string
		p    picture
		want string
	}{
		{"under way", picture{upgrade: up(model.Rolling, false), members: members}, "until the upgrade to 1.1.0 is completed"},
		{"held", picture{upgrade: up(model.Finished, false), members: members}, "may go back to 1.0.0"},
		{"completed, one is behind", picture{upgrade: up(model.Finished, true), members: members}, "every member runs this build: n2 runs 1.0.0"},
		{"staged only", picture{upgrade: up(model.Staged, false), members: members}, "n2 runs 1.0.0"},
		{"nothing on record", picture{}, "begun by an earlier one of 1.0.0"},
	} {
		c.p.cluster.Version = "1.0.0"
		if got := u.opens(c.p); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}

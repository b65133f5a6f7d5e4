package e2e

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// From the command line: an upgrade in mode background, its migration paused, told
// to go faster and followed to its end, and the completion.
func TestAMigrationIsSteeredFromTheCommandLine(t *testing.T) {
	t.Parallel()
	const name = "item-form-0"
	c := newCluster(t, nil)
	ctx := within(t)
	seeded(t, c)
	m := c.Members[0]
	theseus := func(args ...string) string {
		t.Helper()
		return must[string](t)(c.CLI(ctx, m, args...))
	}
	says := func(said string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(strings.Join(strings.Fields(said), " "), w) {
				t.Errorf("it says nothing of %q:\n%s", w, said)
			}
		}
	}

	theseus("system", "upgrade", migrating(t, v110, name), "--mode", "background", "--throttle", "1000", "--probation", "0s")

	if s := must[Status](t)(c.Status(ctx, m)); s.Status != "finished" || s.Completed {
		t.Errorf("followed to its end it is %+v", s)
	}
	j := awaitMigration(t, c, m, name, "some items to be moved", func(j model.Job) bool { return j.Done > 0 })
	says(theseus("jobs", "show", j.ID, "-o", "table"), "migration migrate", "at most 1000/s")
	theseus("jobs", "pause", j.ID)
	says(theseus("system", "upgrade", "progress", "-o", "table"), "version 1.1.0", "mode background", "state paused", "paused by admin", name+" migrate paused")
	if _, err := c.CLI(ctx, m, "system", "upgrade", "complete"); err == nil {
		t.Error("an upgrade whose migration rests is completed")
	}
	says(theseus("jobs", "pace", j.ID, "--rate", "0", "-o", "table"), "paused by admin")
	theseus("jobs", "resume", j.ID)
	says(theseus("system", "upgrade", "progress", "--follow"), "data: "+name+": ", " of 100000, ", "/s, ", "left", "theseus system upgrade complete")
	says(theseus("system", "upgrade", "complete", "-o", "table"), "completed yes")
	says(theseus("system", "upgrade", "progress", "-o", "table"), "state completed", "done 100 %")
	movedOnce(t, c, m)
}

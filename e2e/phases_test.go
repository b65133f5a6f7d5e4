package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// noteVersion is a migration in a few lines of shell: it notes in a profile which
// version the member runs that it runs on.
const noteVersion = `#!/bin/sh
set -eu
[ "$1" = run ] || exit 0
ask() { curl -sf --cacert "$THESEUS_CA_CERT" -H "Authorization: Bearer $THESEUS_TOKEN" "$@"; }
version=$(ask "$THESEUS_ENDPOINT/api/v3/info" | sed 's/.*"version":"\([^"]*\)".*/\1/')
ask -X POST -d "\"$version\"" "$THESEUS_ENDPOINT/api/v3/profiles/phases/params/$THESEUS_PHASE" >/dev/null
echo "checkpoint 1 1 noted"
read go
`

// A package of all phases: each runs once, in its time; and when the upgrade is
// completed the store brings its own records to the form of the new version.
func TestDataIsExpandedMigratedAndContractedInItsTime(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx, m := within(t), c.Members[0]
	check(t, c.CreateProfile(ctx, m, "phases"))
	check(t, c.Staged(ctx, m, inPhases(t, v110)))
	check(t, c.Run(ctx, m, quick))

	until(t, c, m, "the tasks to be done", func(s Status) bool { return s.Completed && progress(t, c, m).State == "completed" })

	var params map[string]string
	check(t, c.Get(ctx, m, "/api/v3/profiles/phases/params?consistent=true", &params))
	if diff := cmp.Diff(map[string]string{"expand": "1.0.0", "migrate": "1.1.0", "contract": "1.1.0", "task": "1.1.0"}, params); diff != "" {
		t.Errorf("the phases were noted by other versions: %s", diff)
	}
	story := strings.Join(must[Status](t)(c.Status(ctx, m)).Transcript, "\n")
	at := -1
	for _, line := range []string{"note-expand: begins", "note-expand: done", " rolling", " verifying", "note-migrate: begins", "note-migrate: done",
		"completed:", "note-contract: begins", "note-contract: done", "note-task: begins", "note-task: done"} {
		next := strings.Index(story, line)
		if next <= at || strings.Count(story, line) != 1 {
			t.Errorf("%q is not where it has to be, once:\n%s", line, story)
		}
		at = next
	}
	check(t, Until(ctx, "the records to be converted", func() (bool, error) {
		var all []model.Job
		err := c.Get(ctx, m, "/api/v3/jobs", &all)
		return slices.ContainsFunc(all, func(j model.Job) bool { return j.Action == "convert-records" && j.State == model.JobDone }), err
	}))
	if f := feature(t, c, m, "era-users"); !f.Active {
		t.Errorf("the records are converted, and there is %+v", f)
	}
}

// inPhases is a package of b with the same migration for each phase.
func inPhases(t *testing.T, b Build) string {
	t.Helper()
	dir, manifest := t.TempDir(), "migrations:\n"
	for _, phase := range model.MigrationPhases() {
		check(t, os.WriteFile(filepath.Join(dir, "note-"+string(phase)), []byte(noteVersion), 0o755))
		manifest += fmt.Sprintf("  - {name: note-%s, phase: %s}\n", phase, phase)
	}
	extra := filepath.Join(t.TempDir(), "manifest.yaml")
	check(t, os.WriteFile(extra, []byte(manifest), 0o644))
	path := filepath.Join(t.TempDir(), "phases.zip")
	must[string](t)(output(t.Context(), "", nil, cli(t), "package", "build", "--version", b.Version, "--bin", platform()+"="+binaries(t, b),
		"--migrations", platform()+"="+dir, "--manifest", extra, "--key", key(t, "release"), "-o", path))
	return path
}

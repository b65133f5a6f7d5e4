package upgrader

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
)

// brings stages, on every member, a package with programs that migrate, by name.
func (c *fleet) brings(programs map[string]string) {
	c.t.Helper()
	dir := c.t.TempDir()
	a := model.Archive{Version: "1.1.0", Images: map[string]string{platform(): "sha256:new"}}
	extra := "migrations:\n"
	c.do(os.WriteFile(filepath.Join(dir, "theseusd"), []byte("a daemon"), 0o755))
	for _, name := range []string{toForm, toIndex} {
		if program, some := programs[name]; some {
			c.do(os.WriteFile(filepath.Join(dir, name), []byte(program), 0o755))
			sum := sha256.Sum256([]byte(program))
			a.Migrations = append(a.Migrations, model.Migration{Name: name, Phase: model.Migrate, Images: map[string]string{platform(): "sha256:" + hex.EncodeToString(sum[:])}})
			extra += "  - {name: " + name + ", phase: migrate}\n"
		}
	}
	bins := map[string]string{platform(): dir}
	var archive bytes.Buffer
	c.do(staging.Build(&archive, staging.Recipe{Version: a.Version, Bins: bins, Extra: []byte(extra), Migrations: bins}))
	for _, id := range c.ids() {
		c.members[id].up.Limits = staging.DefaultLimits()
		a.Digest, a.Size = c.shelve(id, archive.Bytes())
	}
	c.done(store.OpUpgradeClear, store.UpgradeRef{ID: stagedID})
	c.done(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "m", Archive: a}})
	c.done(store.OpStageCommit, store.StageCommit{ID: "m", Upgrade: model.Upgrade{ID: "m", Archive: a, Phase: model.Staged}})
}

// shelve puts an archive into a member's store.
func (c *fleet) shelve(id string, archive []byte) (digest string, size int64) {
	c.t.Helper()
	spool, err := c.members[id].up.Store.Spool()
	c.do(err)
	_, err = spool.Write(archive)
	c.do(err)
	digest, size, err = spool.Finish()
	c.do(err)
	c.do(spool.Keep())
	return digest, size
}

// told is what is found about migrations before the staged upgrade.
func (c *fleet) told(o model.Options) []model.Finding {
	return c.members["n1"].up.estimated(c.t.Context(), c.look("n1"), o)
}

const sure = "#!/bin/sh\n[ $1 = estimate ] && [ \"$THESEUS_FROM-$THESEUS_TO\" = -1.1.0 ] && echo estimate 90000 900\n"

func TestAMigrationEstimatesItsWorkOnEveryMemberThatMayLead(t *testing.T) {
	const noProgram = "no program"
	for _, one := range []struct {
		name     string
		programs map[string]string
		severity model.Severity
		members  string
		want     string
	}{
		{"one", map[string]string{toForm: sure}, model.Advice, "", "item-form: 90000 items are to be migrated in 900 writes. In mode complete"},
		{"two", map[string]string{toForm: sure, toIndex: sure}, model.Advice, "", "item-form, item-index: 180000 items are to be migrated in 1800 writes"},
		{"one cannot say", map[string]string{toForm: sure, toIndex: "#!/bin/sh\necho what? >&2\nexit 3\n"}, model.Advice, "", "could not be estimated: item-index on name-of-"},
		{"it cannot be run", map[string]string{toForm: noProgram, toIndex: sure}, model.Hard, "name-of-n1 name-of-n2", "the migration item-form cannot be run there: start it: "},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := newFleet(t, "", "n1", "n2")
			c.brings(one.programs)
			var members []string
			for _, f := range c.told(model.Options{}) {
				if f.Severity != one.severity || f.Name != "migrations" || !strings.Contains(f.What, one.want) {
					t.Errorf("found %+v", f)
				}
				members = append(members, f.Member)
			}
			slices.Sort(members)
			if got := strings.Join(members, " "); got != one.members {
				t.Errorf("found of %q", got)
			}
		})
	}
}

func TestAMigrationThatCannotBeRunRefusesTheStart(t *testing.T) {
	for program, refused := range map[string]bool{"no program": true, sure: false, "#!/bin/sh\nexit 3\n": false} {
		c := newFleet(t, "", "n1", "n2")
		c.brings(map[string]string{toForm: program})
		for _, id := range c.ids() { // with nothing else in the way
			c.members[id].answers[pathPreflight] = func(context.Context, json.RawMessage) (any, error) {
				return machineAnswer{Heard: time.Now(), Said: time.Now()}, nil
			}
		}
		_, err := c.members["n1"].up.ready(t.Context(), c.look("n1"), model.Options{})
		if is := err != nil && strings.Contains(err.Error(), "name-of-n2: the migration item-form cannot be run there"); is != refused || (err != nil) != refused {
			t.Errorf("%q: %v", program, err)
		}
	}
}

// reckons has a member answer with an estimate that it did not make.
func (c *fleet) reckons(id string, e ...estimate) {
	c.members[id].answers[pathEstimate] = func(context.Context, json.RawMessage) (any, error) { return e, nil }
}

func TestTheForecastIsOfTheSlowestMember(t *testing.T) {
	c := newFleet(t, "", "n1", "n2", "n3")
	c.brings(map[string]string{toForm: sure})
	c.reckons("n1", estimate{Name: toForm, Items: 10, Commits: 1, Took: time.Minute})
	c.reckons("n2", estimate{Name: toForm, Items: 1200, Commits: 12, Took: 2 * time.Minute})
	c.members["n3"].down = true
	e := c.members["n1"].up.tryMigrations(t.Context(), c.look("n1"), model.Options{}, time.Second)
	for _, one := range []struct {
		throttle int64
		want     string
	}{
		{0, "1200 items are to be migrated in 12 writes. In mode complete that takes about 4m at least, and nobody else writes meanwhile; in mode background about 8m, resting as long as it works, while"},
		{2, "In mode complete that takes about 10m at least, and nobody else writes meanwhile; in mode background about 10m, 2 items a second at most, while"},
		{1000, "In mode complete that takes about 4m at least, and nobody else writes meanwhile; in mode background about 4m, 1000 items a second at most"},
	} {
		e.options.Throttle = one.throttle
		if f := e.forecast([]string{toForm}, 10*time.Second); !strings.Contains(f.What, one.want) {
			t.Errorf("throttled to %d: %s", one.throttle, f.What)
		}
	}
}

func TestWithoutAnEstimateTheReasonIsTold(t *testing.T) {
	c := newFleet(t, "", "n1", "n2")
	c.brings(map[string]string{toForm: sure})
	late := estimate{Name: toForm, Error: "it was not done within 20s"}
	c.reckons("n1", late)
	c.reckons("n2", late)
	found := c.told(model.Options{})
	if len(found) != 1 || found[0].Severity != model.Advice || !strings.HasSuffix(found[0].What, ": it was not done within 20s") {
		t.Errorf("found %+v", found)
	}
	c.members["n1"].down, c.members["n2"].down = true, true
	if found := c.told(model.Options{}); len(found) != 1 || !strings.Contains(found[0].What, "item-form: no member that may run it has answered") {
		t.Errorf("with nobody there found %+v", found)
	}
}

func TestAnEstimateThatTakesTooLongIsEnded(t *testing.T) {
	c := newFleet(t, "", "n1")
	c.brings(map[string]string{toForm: "#!/bin/sh\nexec sleep 600\n", toIndex: sure})
	u := c.members["n1"].up
	question, err := json.Marshal(estimateQuestion{upgradeQuestion: u.question(c.look("n1").upgrade), Within: 50 * time.Millisecond})
	c.do(err)
	answer, err := u.answerEstimate(t.Context(), question)
	c.do(err)
	all := answer.([]estimate)
	if len(all) != 2 || all[0].Error == "" || all[0].Unfit || all[1].Error != "the migrations before it took all the time" {
		t.Errorf("answered %+v", all)
	}
}

func TestWithoutMigrationsNobodyIsAsked(t *testing.T) {
	c := newFleet(t, "", "n1")
	c.members["n1"].answers[pathEstimate] = func(context.Context, json.RawMessage) (any, error) {
		t.Error("it was asked")
		return []estimate{}, nil
	}
	if found := c.told(model.Options{}); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

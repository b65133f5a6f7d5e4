package upgrader

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/preflight"
)

// looked is what n1 finds before an upgrade, in short and without what depends on
// the machine of the test; change has a say in what it sees.
func (c *fleet) looked(o model.Options, change func(*picture)) (short []string) {
	c.t.Helper()
	p := c.look("n1")
	change(&p)
	found, err := c.members["n1"].up.preflight(c.t.Context(), p, o)
	c.do(err)
	for _, f := range found {
		if f.Name != preflight.ClockSync && f.Name != preflight.DiskLatency {
			short = append(short, fmt.Sprintf("%s %s %s", f.Severity, f.Name, f.Member))
		}
	}
	return short
}

// voteless is a cluster in which nobody votes.
type voteless struct{ Cluster }

func (voteless) Voters() []string { return nil }

func TestTheRoundFindsWhatMembersAndPackagesWant(t *testing.T) {
	change := func(id string, do func(*model.Member)) func(*picture) {
		return func(p *picture) {
			m := p.members[id]
			do(&m)
			p.members[id] = m
		}
	}
	rules := func(r model.Rules) func(*picture) {
		return func(p *picture) { p.upgrade.Archive.Rules = &r }
	}
	release := func(r model.Upgrade) func(*picture) { return func(p *picture) { p.release = &r } }
	mke := model.Rules{Companions: map[string]string{"mke": ">= 3.4"}}
	for _, one := range []struct {
		name   string
		o      model.Options
		change func(*picture)
		want   []string
	}{
		{"nothing", model.Options{}, func(*picture) {}, nil},
		{"a companion", model.Options{}, rules(mke), []string{"soft companion "}},
		{"a setting", model.Options{}, rules(model.Rules{Settings: map[string]string{"a": "b"}}), []string{"soft setting "}},
		{"in an early cluster, for people only", model.Options{}, func(p *picture) { rules(mke)(p); p.cluster.Level = 0 }, []string{"advice companion "}},
		{"an issue", model.Options{}, change("n2", func(m *model.Member) { m.Issues = []string{"odd"} }), []string{"soft issues name-of-n2"}},
		{"a version", model.Options{}, change("n2", func(m *model.Member) { m.Version, m.Image = "0.1.0", "sha256:old" }), []string{"hard version name-of-n2"}},
		{"not of those left out", model.Options{Exclude: []string{"n2"}}, change("n2", func(m *model.Member) { m.Version, m.Image = "0.1.0", "sha256:old" }), nil},
		{"an upgrade before", model.Options{}, release(model.Upgrade{Archive: model.Archive{Version: "1.0.9"}}), []string{"hard pending "}},
		{"that is completed", model.Options{}, release(model.Upgrade{Completed: true}), nil},
		{"or to the same version", model.Options{}, release(model.Upgrade{Archive: model.Archive{Version: "1.1.0"}}), nil},
		{"nothing staged", model.Options{}, func(p *picture) { p.upgrade = nil }, []string{"hard prerequisites name-of-n1", "hard prerequisites name-of-n2"}},
	} {
		c := newFleet(t, "", "n1", "n2")
		c.members["n1"].Cluster = voteless{}
		if diff := cmp.Diff(one.want, c.looked(one.o, one.change)); diff != "" {
			t.Errorf("%s: %s", one.name, diff)
		}
	}
}

func TestACompanionThatOperatorsNamedFits(t *testing.T) {
	c := newFleet(t, "", "n1")
	c.done(store.OpProfileCreate, store.ProfileCreate{Profile: model.Profile{Name: model.CompanionsProfile, Params: map[string]any{"mke": "3.5.0"}}})
	want := func(p *picture) {
		p.upgrade.Archive.Rules = &model.Rules{Companions: map[string]string{"mke": ">= 3.4, < 3.6"}}
	}
	if found := c.looked(model.Options{}, want); found != nil {
		t.Errorf("found %v", found)
	}
}

func TestAMemberOfAnEarlierBuildIsAskedWhatItKnows(t *testing.T) {
	c := newFleet(t, "", "n1", "n2")
	c.members["n2"].answers[pathPreflight] = func(context.Context, json.RawMessage) (any, error) {
		return nil, model.Problemf(model.NotFound, "it runs another version")
	}
	c.members["n2"].answers[pathReady] = func(context.Context, json.RawMessage) (any, error) { return []string{"name-of-n2: no room: x"}, nil }
	want := []string{"advice earlier-build name-of-n2", "hard prerequisites name-of-n2"}
	if diff := cmp.Diff(want, c.looked(model.Options{}, func(*picture) {})); diff != "" {
		t.Error(diff)
	}
}

// behindBy has a member answer by a clock that is behind.
func (c *fleet) behindBy(id string, d time.Duration) {
	c.members[id].answers[pathPreflight] = func(context.Context, json.RawMessage) (any, error) {
		now := time.Now().Add(-d)
		return machineAnswer{Heard: now, Said: now}, nil
	}
}

func TestSoftFindingsRefuseUnlessAccepted(t *testing.T) {
	c := newFleet(t, "", "n1", "n2", "n3")
	c.behindBy("n2", time.Hour)
	u, p := c.members["n1"].up, c.look("n1")
	_, err := u.ready(t.Context(), p, model.Options{})
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "name-of-n2: its clock is behind the others' (1h0m0s, the limit is 500ms)") ||
		!strings.Contains(err.Error(), "accept it with --ignore clock-offset") {
		t.Errorf("it is refused with %v", err)
	}
	accepted, err := u.ready(t.Context(), p, model.Options{Ignore: []string{preflight.ClockOffset}})
	if err != nil || len(accepted) != 1 || !accepted[0].Ignored {
		t.Errorf("accepted %+v, %v", accepted, err)
	}
	const note = "; accepted by admin: clock-offset (name-of-n2: its clock is behind the others', 1h0m0s)"
	if got := acceptedNote("admin", accepted); got != note {
		t.Errorf("noted %q", got)
	}
	p.cluster.Level = 0
	if accepted, err := u.ready(t.Context(), p, model.Options{}); err != nil || len(accepted) > 0 {
		t.Errorf("in an early cluster: %v, %v", accepted, err)
	}
}

func TestAMemberThatIsDownRefusesUnlessItMayComeLater(t *testing.T) {
	c := newFleet(t, "", "n1", "n2")
	c.members["n2"].down = true
	u, p := c.members["n1"].up, c.look("n1")
	_, err := u.ready(t.Context(), p, model.Options{Ignore: []string{preflight.Unreachable}})
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "name-of-n2: does not answer on") || !strings.Contains(err.Error(), "--await 30m") {
		t.Errorf("it is refused with %v", err)
	}
	if _, err := u.ready(t.Context(), p, model.Options{Await: time.Minute}); err != nil {
		t.Error(err)
	}
}

func TestABackupIsAskedFor(t *testing.T) {
	stale := func(c *fleet) {
		c.done(store.OpBackupMade, store.BackupMade{Backup: model.Backup{Name: "b", Made: time.Now().Add(-48 * time.Hour).Format(time.RFC3339Nano)}})
	}
	none := func(*fleet) {}
	for _, one := range []struct {
		name    string
		before  func(*fleet)
		most    time.Duration
		version string
		option  string
		want    []string
	}{
		{"too old", stale, time.Hour, "1.1.0", "", []string{"soft backup "}},
		{"recent enough", stale, 72 * time.Hour, "1.1.0", "", nil},
		{"none before a minor", none, 0, "1.1.0", "", nil},
		{"none before a minor, and none is to be made", none, 0, "1.1.0", model.BackupNone, []string{"advice backup "}},
		{"none before a patch", none, 0, "1.0.7", model.BackupNone, nil},
		{"none before a patch that wants one", none, time.Hour, "1.0.7", "", []string{"soft backup "}},
	} {
		c := newFleet(t, "", "n1")
		one.before(c)
		got := c.looked(model.Options{Backup: one.option}, func(p *picture) {
			p.upgrade.Archive.Version, p.upgrade.Archive.Rules = one.version, &model.Rules{Backup: one.most}
		})
		if diff := cmp.Diff(one.want, got); diff != "" {
			t.Errorf("%s: %s", one.name, diff)
		}
	}
}

func TestWhatMayBeIgnored(t *testing.T) {
	var o model.Options
	if err := (runRequest{Ignore: []string{"clock-offset", "quorum", "clock-offset"}}).care(&o); err != nil || len(o.Ignore) != 2 {
		t.Errorf("%v, %v", o.Ignore, err)
	}
	for _, name := range []string{"disk", "trial", "all", ""} {
		err := runRequest{Ignore: []string{name}}.care(&o)
		if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), "there are backup, clock-offset, clock-sync") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheRoomThatAnArchiveTakesIsAskedForWhereItIsNot(t *testing.T) {
	c := newFleet(t, "", "n1")
	u := c.members["n1"].up
	without, with := u.needs(machineQuestion{}), u.needs(machineQuestion{Archive: "elsewhere", Size: 8 << 20, Disk: 1 << 20, Memory: 5})
	if with.Room-without.Room != 10<<20 || with.Memory != 5 || without.Room == 0 {
		t.Errorf("%+v and %+v", without, with)
	}
}

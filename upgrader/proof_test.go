package upgrader

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// fleet is members whose calls and logs need no network.
type fleet struct {
	t       *testing.T
	mu      sync.Mutex // held for index
	index   uint64
	members map[string]*station
}

// station is one member's place in it.
type station struct {
	Cluster
	fleet   *fleet
	up      *Upgrader
	down    bool
	noIndex error // what ReadIndex answers
	answers map[string]func(context.Context, json.RawMessage) (any, error)
}

func (s *station) Handle(path string, answer func(context.Context, json.RawMessage) (any, error)) {
	s.answers[path] = answer
}

func (s *station) HandleStream(string, func(context.Context, json.RawMessage) (io.ReadCloser, int64, error)) {
}

func (s *station) Propose(_ context.Context, c store.Command) (store.Answer, error) {
	return s.fleet.apply(c), nil
}

func (s *station) Call(ctx context.Context, member, path string, in, out any) error {
	to := s.fleet.members[member]
	if to.down {
		return errors.New("connection refused")
	}
	question, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := to.answers[path](ctx, question)
	if err != nil || out == nil {
		return err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

func (c *fleet) apply(command store.Command) (a store.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	for _, id := range c.ids() {
		c.log(id, command)
		a = c.members[id].up.Store.Apply([]store.Entry{{Index: c.index, Term: 1, Data: command.Encode()}})[0]
	}
	return a
}

// log puts a command into a member's log, as Raft would.
func (c *fleet) log(id string, command store.Command) {
	l := &raft.Log{Index: c.index, Term: 1, Type: raft.LogCommand, Data: command.Encode()}
	if err := c.members[id].up.Store.Log().StoreLog(l); err != nil {
		c.t.Error(err)
	}
}

func (c *fleet) ids() (ids []string) {
	for id := range c.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

const stagedID = "u"

// newFleet is members with an upgrade that is staged. Each has an executable at
// kept, the image that it ran when the upgrade was staged.
func newFleet(t *testing.T, kept string, ids ...string) *fleet {
	t.Helper()
	c := &fleet{t: t, members: map[string]*station{}}
	for _, id := range ids {
		c.members[id] = c.enlist(id, kept)
	}
	archive := model.Archive{Digest: "ab", Version: "1.1.0", Images: map[string]string{platform(): "sha256:new"}}
	plan := []model.Progress{}
	c.done(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: store.Level}, Admin: model.User{Name: "admin"}})
	for _, id := range ids {
		m := c.members[id].up.Self
		c.done(store.OpMemberReport, store.MemberReport{Member: m})
		plan = append(plan, model.Progress{ID: id, Step: model.Waiting, From: "1.0.0", Image: imageAt(t, kept)})
	}
	c.done(store.OpProfileCreate, store.ProfileCreate{Profile: model.Profile{Name: "p"}})
	c.done(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: stagedID, Archive: archive}})
	c.done(store.OpStageCommit, store.StageCommit{ID: stagedID, Upgrade: model.Upgrade{
		ID: stagedID, Archive: archive, From: "1.0.0", Phase: model.Staged, Members: plan}})
	return c
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func imageAt(t *testing.T, path string) string {
	t.Helper()
	if path == "" {
		return "sha256:old"
	}
	image, err := binary.FileImage(path)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func (c *fleet) enlist(id, kept string) *station {
	c.t.Helper()
	dir := c.t.TempDir()
	data := filepath.Join(dir, "data")
	s, err := store.Open(data, store.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			c.t.Error(err)
		}
	})
	place := &station{fleet: c, answers: map[string]func(context.Context, json.RawMessage) (any, error){}}
	own := &binary.Own{Path: filepath.Join(dir, "theseusd"), Image: "sha256:new"}
	if kept != "" {
		if err := os.Link(kept, own.Previous()); err != nil {
			c.t.Fatal(err)
		}
	}
	place.up = New(Config{Store: s, Cluster: place, Own: own, DataDir: data, Log: slog.New(slog.DiscardHandler),
		Self: model.Member{ID: id, Name: "name-of-" + id, Version: "1.1.0", Image: "sha256:new", Platform: platform()},
		Launch: binary.Start{Argv: []string{"theseusd", "--data-dir", data, "--listen", "127.0.0.1:0",
			"--raft-listen", "127.0.0.1:0", "--advertise", "127.0.0.1"}}})
	return place
}

func (c *fleet) done(op store.Op, body any) {
	c.t.Helper()
	if err := c.apply(store.New(op, body)).Err(); err != nil {
		c.t.Fatalf("%s: %v", op, err)
	}
}

// tidied lets a member see the record, as its loop does.
func (c *fleet) tidied(id string) {
	c.t.Helper()
	u := c.members[id].up
	if err := u.keepCopy(c.t.Context(), c.look(id)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *fleet) look(id string) picture {
	c.t.Helper()
	p, err := c.members[id].up.look()
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// daemon builds theseusd 1.0.0 with build tags.
func daemon(t *testing.T, dir, tags string) string {
	t.Helper()
	path := filepath.Join(dir, "theseusd-"+tags)
	cmd := exec.Command("go", "build", "-tags", tags, "-ldflags", "-X main.version=1.0.0", "-o", path, "../cmd/theseusd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build theseusd %s: %v: %s", tags, err, out)
	}
	return path
}

// ancient is a self-check of the first version around one of today.
func ancient(t *testing.T, dir, of string) string {
	t.Helper()
	path := filepath.Join(dir, "ancient")
	script := "#!/bin/sh\nshift 2\nexec " + of + " self-check --report=1 \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func set(value string) store.ParamSet { return store.ParamSet{Profile: "p", Key: "k", Value: value} }

func TestTheWayBackIsProvenByTheKeptExecutable(t *testing.T) {
	dir := t.TempDir()
	good := daemon(t, dir, "")
	for _, one := range []struct {
		name, kept, want, told string
		before                 func(*fleet)
	}{
		{"it reads and makes the same", good, "", "commands replayed: 2", nil},
		{"it was never kept", good, "was not kept", "", func(c *fleet) { c.do(os.Remove(c.members["n1"].up.Own.Previous())) }},
		{"another one was kept", good, "not sha256:", "", func(c *fleet) {
			path := c.members["n1"].up.Own.Previous()
			c.do(errors.Join(os.Remove(path), os.WriteFile(path, []byte("another"), 0o755)))
		}},
		{"its self-check is an earlier one", ancient(t, dir, good), "", "records only, no replay", nil},
		{"no copy was kept", good, "", "commands replayed: 0 (no copy was kept", func(c *fleet) { c.do(os.Remove(c.members["n1"].up.copyOf(stagedID))) }},
		{"the log was compacted", good, "", "commands replayed: 0 (commands after", func(c *fleet) {
			c.do(c.members["n1"].up.Store.Log().DeleteRange(0, c.index-1))
		}},
		{"it cannot read the records", daemon(t, dir, "fault_badstate"), "cannot read members", "", nil},
		{"it makes other records", daemon(t, dir, "fault_badreplay"), "makes other records than 1.1.0 of the commands from index", "", nil},
	} {
		t.Run(one.name, func(t *testing.T) {
			c := newFleet(t, one.kept, "n1", "n2")
			c.tidied("n1")
			c.done(store.OpParamSet, set("1"))
			c.done(store.OpParamSet, set("2"))
			if one.before != nil {
				one.before(c)
			}
			leader := c.members["n2"].up
			found, err := leader.askBack(t.Context(), "n1", c.look("n2").upgrade)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(found, "\n")
			if (len(found) == 0) != (one.want == "") || !strings.Contains(text, one.want) {
				t.Errorf("found %q", found)
			}
			if !strings.Contains(leader.backTold, one.told) {
				t.Errorf("told %q", leader.backTold)
			}
			left, err := filepath.Glob(filepath.Join(c.members["n1"].up.DataDir, trialPrefix+"*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

func (c *fleet) do(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestAMemberThatCannotBeAskedForItsWayBackIsAnError(t *testing.T) {
	c := newFleet(t, "", "n1", "n2")
	c.members["n1"].down = true
	if found, err := c.members["n2"].up.askBack(t.Context(), "n1", c.look("n2").upgrade); err == nil {
		t.Errorf("found %q", found)
	}
	if _, err := c.members["n2"].up.askBack(t.Context(), "n2", &model.Upgrade{ID: "another"}); model.KindOf(err) != model.Conflict {
		t.Errorf("asked for another upgrade: %v", err)
	}
}

func TestMembersWhoseRecordsComeApartAreNamed(t *testing.T) {
	c := newFleet(t, "", "n1", "n2", "n3")
	leader := c.members["n1"].up
	compare := func() ([]string, error) { return leader.compare(t.Context(), c.look("n1")) }
	if found, err := compare(); err != nil || len(found) > 0 {
		t.Errorf("alike: found %q, %v", found, err)
	}
	c.apart("n3")
	found, err := compare()
	if err != nil || len(found) != 1 || !strings.Contains(found[0], "on name-of-n1 (1.1.0), name-of-n2 (1.1.0)") ||
		!strings.Contains(found[0], "on name-of-n3 (1.1.0)") {
		t.Errorf("apart: found %q, %v", found, err)
	}
	c.members["n2"].down = true
	if found, err := compare(); err == nil || !strings.Contains(err.Error(), "name-of-n2") {
		t.Errorf("one does not answer: found %q, %v", found, err)
	}
	p := c.look("n1")
	p.upgrade.Member("n2").Step, p.upgrade.Member("n3").Step = model.Excluded, model.Excluded
	if found, err := leader.compare(t.Context(), p); err != nil || len(found) > 0 {
		t.Errorf("only one takes part: found %q, %v", found, err)
	}
}

// apart has one member apply what no other does.
func (c *fleet) apart(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	nothing := store.New(store.OpProbe, store.Probe{Member: "n1"})
	for _, one := range c.ids() {
		command := nothing
		if one == id {
			command = store.New(store.OpParamSet, set("mine"))
		}
		c.log(one, command)
		c.members[one].up.Store.Apply([]store.Entry{{Index: c.index, Term: 1, Data: command.Encode()}})
	}
}

func TestTheCopyOfTheStagingComesAndGoesWithTheUpgrade(t *testing.T) {
	c := newFleet(t, "", "n1")
	u := c.members["n1"].up
	stale := filepath.Join(u.DataDir, "staged-before.db")
	c.do(errors.Join(os.WriteFile(stale, nil, 0o600), os.WriteFile(filepath.Join(u.DataDir, ".staged-u.db.tmp"), nil, 0o600)))
	c.tidied("n1")
	c.wantCopies("n1", "staged-u.db")
	at, err := indexOf(u.copyOf(stagedID))
	if err != nil || at != c.index {
		t.Errorf("the copy is as of %d, %v, not %d", at, err, c.index)
	}
	c.done(store.OpParamSet, set("1"))
	u.copied = nil // as after a restart
	c.tidied("n1")
	if again, err := indexOf(u.copyOf(stagedID)); err != nil || again != at {
		t.Errorf("it was copied again, as of %d, %v", again, err)
	}
	c.done(store.OpUpgradeClear, store.UpgradeRef{ID: stagedID})
	c.tidied("n1")
	c.wantCopies("n1")
}

func TestNoCopyIsTakenLate(t *testing.T) {
	c := newFleet(t, "", "n1")
	p := c.look("n1")
	p.upgrade.Phase = model.Rolling
	c.do(c.members["n1"].up.keepCopy(t.Context(), p))
	c.wantCopies("n1")
}

func (c *fleet) wantCopies(id string, want ...string) {
	c.t.Helper()
	entries, err := os.ReadDir(c.members[id].up.DataDir)
	c.do(err)
	got := []string{}
	for _, e := range entries {
		if strings.Contains(e.Name(), "staged") {
			got = append(got, e.Name())
		}
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		c.t.Errorf("copies: %s", diff)
	}
}

func TestCheckTellsOfEveryMemberAndRecordsNothing(t *testing.T) {
	c := newFleet(t, "", "n1", "n2", "n3")
	c.members["n2"].down = true
	before := c.index
	r, err := c.members["n1"].up.CheckAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.OK || r.Version != "1.1.0" || r.Archive != "sha256:ab" || len(r.Members) != 3 || c.index != before {
		t.Errorf("the report is %+v, the log at %d", r, c.index)
	}
	for _, m := range r.Members {
		down := m.Name == "name-of-n2"
		if down != (len(m.Findings) == 1) || down == (m.Note == "it runs this version already") {
			t.Errorf("%+v", m)
		}
	}
}

func TestCheckNeedsSomethingThatIsStagedAndNotUnderWay(t *testing.T) {
	for phase, want := range map[model.Phase]model.Kind{
		"": model.NotFound, model.Checking: model.Conflict, model.Rolling: model.Conflict, model.Finished: model.Conflict,
		model.Reverting: model.Conflict,
	} {
		var up *model.Upgrade
		if phase != "" {
			up = &model.Upgrade{Phase: phase}
		}
		if err := checkable(up); model.KindOf(err) != want {
			t.Errorf("%q: %v", phase, err)
		}
	}
	for _, phase := range []model.Phase{model.Staged, model.Failed} {
		if err := checkable(&model.Upgrade{Phase: phase}); err != nil {
			t.Errorf("%q: %v", phase, err)
		}
	}
}

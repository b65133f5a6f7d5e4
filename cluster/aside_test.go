package cluster

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// joinFor is what it takes to join h.
func (h *harness) joinFor() Join {
	h.t.Helper()
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(h.t, err)
	return Join{URL: h.members[0].api.URL, Token: token}
}

func (m *member) setAside(j Join) (dirs []string, err error) {
	m.t.Helper()
	err = SetAside(m.dir, j, m.log)
	dirs, bad := filepath.Glob(filepath.Join(m.dir, "before-join-*"))
	must(m.t, bad)
	return dirs, err
}

func TestWhatAClusterOfOneHadIsPutAsideWhenItJoinsAnother(t *testing.T) {
	here, there := newCluster(t, 2), newCluster(t, 1)
	m := there.members[0]
	m.write("mine")
	m.kill()
	dirs, err := m.setAside(here.joinFor())
	must(t, err)
	if len(dirs) != 1 {
		t.Fatalf("put aside in %v", dirs)
	}
	for _, name := range []string{"state", "tls", identityFile} {
		if _, err := os.Stat(filepath.Join(dirs[0], name)); err != nil {
			t.Error(err)
		}
	}
	id, err := LoadIdentity(m.dir)
	must(t, err)
	if id.ID == m.self.ID {
		t.Error("it still is who it was")
	}
	m.self.ID, m.self.Incarnation, m.self.Name, m.self.API = id.ID, id.Incarnation, "newcomer", "https://newcomer:8092"
	j := here.joinFor()
	m.start(Config{Join: &j})
	here.members[0].write("theirs")
	must(t, m.node.ReadIndex(here.ctx()))
	if diff := cmp.Diff([]string{"theirs"}, m.profiles()); diff != "" {
		t.Error(diff)
	}
	m.kill()
	if again, err := m.setAside(here.joinFor()); err != nil || len(again) != 1 {
		t.Errorf("once more: %v, %v", again, err)
	}
}

func TestNothingIsPutAsideForTheClusterThatItIsIn(t *testing.T) {
	h := newCluster(t, 1)
	j := h.joinFor()
	for what, j := range map[string]Join{"its own cluster's token": j, "a token that is none": {URL: j.URL, Token: "x"}, "no join": {}} {
		if dirs, err := h.members[0].setAside(j); err != nil || len(dirs) > 0 {
			t.Errorf("%s: %v, %v", what, dirs, err)
		}
	}
}

func TestAMemberOfALargerClusterIsNotPutAside(t *testing.T) {
	here, there := newCluster(t, 1), newCluster(t, 3)
	m := there.members[1]
	m.kill()
	dirs, err := m.setAside(here.joinFor())
	if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), "of 3 members") || len(dirs) > 0 {
		t.Errorf("got %v, %v", dirs, err)
	}
}

// A kill between any two of the moves leaves some here and some there.
func TestPuttingAsideGoesOnAfterAKill(t *testing.T) {
	for moved := range len(belongings()) {
		dir, to := t.TempDir(), "before-join-x"
		must(t, os.Mkdir(filepath.Join(dir, to), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, asideFile), []byte(`{"to":"before-join-x"}`), 0o600))
		for i, name := range belongings() {
			in := dir
			if i < moved {
				in = filepath.Join(dir, to)
			}
			must(t, os.WriteFile(filepath.Join(in, name), nil, 0o600))
		}
		must(t, SetAside(dir, Join{}, slog.New(slog.DiscardHandler)))
		left, err := os.ReadDir(dir)
		must(t, err)
		there, err := os.ReadDir(filepath.Join(dir, to))
		must(t, err)
		if len(left) != 1 || len(there) != len(belongings()) {
			t.Errorf("%d moved before: %v stay, %v are aside", moved, left, there)
		}
	}
}

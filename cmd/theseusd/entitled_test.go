package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

func TestABinaryServesWhatItMayFollow(t *testing.T) {
	for _, one := range []struct{ recorded, version, refusal string }{
		{"", "1.0.0", ""}, // not in a cluster yet
		{"1.0.0", "1.0.0", ""},
		{"1.0.0", "1.0.0+rebuilt", ""},
		{"0.0.0-dev", "0.0.0-dev", ""},
		{"1.0.0", "1.0.7", ""},
		{"1.0.0", "1.1.3", ""},
		{"1.4.0", "2.0.0", ""},
		{"1.0.0", "1.2.0", "go to 1.1.x first"},
		{"1.0.0", "2.1.0", "go to 2.0.x first"},
		{"1.1.0", "1.0.9", "the state is newer than this binary"},
		{"1.1.0", "1.1.0-rc.1", "the state is newer than this binary"},
		{"1.0.0", "0.0.0-dev", "put theseusd 1.0.0 there"},
	} {
		err := entitled(one.recorded, one.version, "/bin/theseusd")
		switch {
		case one.refusal == "" && err != nil:
			t.Errorf("%s on %s is refused: %v", one.version, one.recorded, err)
		case one.refusal != "" && (err == nil || !strings.Contains(err.Error(), one.refusal) || !strings.Contains(err.Error(), "/bin/theseusd")):
			t.Errorf("%s on %s: %v does not say %q and where", one.version, one.recorded, err, one.refusal)
		}
	}
}

// A member whose cluster went on without it starts on what it ran before, and in
// the middle of catching up on what that brought.
func TestAMemberLeftBehindMayStart(t *testing.T) {
	d := &daemon{config: config{DataDir: t.TempDir()}, own: &binary.Own{Path: filepath.Join(t.TempDir(), "theseusd")}}
	id, err := cluster.LoadIdentity(d.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if d.store, err = store.Open(d.DataDir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer d.store.Close()
	for i, c := range []store.Command{
		store.New(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c1", Version: "7.0.0"}, Admin: model.User{Name: "admin"}}),
		store.New(store.OpMemberReport, store.MemberReport{Member: model.Member{ID: id.ID, Image: "sha256:before"}}),
	} {
		if a := d.store.Apply([]store.Entry{{Index: uint64(i + 1), Term: 1, Data: c.Encode()}}); a[0].Err() != nil {
			t.Fatal(a[0].Err())
		}
	}
	attempt := filepath.Join(filepath.Dir(d.own.Path), ".theseusd.attempt")
	if err := os.WriteFile(attempt, []byte(`{"v":1,"new-image":"sha256:next"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for image, may := range map[string]bool{"sha256:before": true, "sha256:next": true, "sha256:other": false} {
		d.own.Image = image
		if err := d.entitle(t.Context()); (err == nil) != may {
			t.Errorf("%s: %v", image, err)
		}
	}
}

// Another build of the right version may still be too old to read the state.
func TestABinaryOfALowerProtocolLevelIsRefusedAtItsStart(t *testing.T) {
	d := &daemon{config: config{DataDir: t.TempDir()}, own: &binary.Own{Path: filepath.Join(t.TempDir(), "theseusd"), Image: "sha256:other"}}
	var err error
	if d.store, err = store.Open(d.DataDir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer d.store.Close()
	for i, level := range []int{store.Level, store.Level + 1} {
		c := store.New(store.OpClusterLevel, store.ClusterLevel{Before: level - 1, Level: level})
		if i == 0 {
			c = store.New(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c1", Version: version, Level: level}, Admin: model.User{Name: "admin"}})
		}
		if a := d.store.Apply([]store.Entry{{Index: uint64(i + 1), Term: 1, Data: c.Encode()}}); a[0].Err() != nil {
			t.Fatal(a[0].Err())
		}
		err := d.entitle(t.Context())
		if refused := err != nil && strings.Contains(err.Error(), "the state is newer than this binary: the cluster is at protocol level"); refused != (level > store.Level) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

func TestAJoinerMayBeAheadByWhatTheRulesAllow(t *testing.T) {
	for version, want := range map[string]string{
		"1.0.0": "", "1.0.0+rebuilt": "", "1.0.9": "", "1.1.4": "", "2.0.3": "",
		"1.2.0": "go to 1.1.x first: start it with theseusd 1.0.0, and let `theseus system upgrade`",
		"2.1.0": "go to 2.0.x first: start it with theseusd 1.0.0",
		"3.0.0": "skips a major version",
	} {
		err := mayJoin("1.0.0", version)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", version, err, want)
		}
	}
}

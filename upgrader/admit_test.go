package upgrader

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
)

const everyPhase = `migrations:
  - {name: tidy, phase: task}
  - {name: drop, phase: contract}
  - {name: move, phase: migrate, memory: 256MiB}
  - {name: widen, phase: expand}
`

// migrating is a package of 1.1.5 with extra fields in its manifest, and a program
// for each migration that there may be.
func migrating(t *testing.T, extra string) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"theseusd", "widen", "move", "drop", "tidy"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("program of "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := staging.Recipe{Version: "1.1.5", Bins: map[string]string{platform(): dir}, Extra: []byte(extra)}
	if strings.Contains(extra, "migrations:") {
		r.Migrations = r.Bins
	}
	var archive bytes.Buffer
	if err := staging.Build(&archive, r); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// admitted is what a cluster of one at a version and protocol level says to a package.
func admitted(t *testing.T, version string, level int, archive []byte) (model.Archive, error) {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &lone{store: s}
	u := &Upgrader{Config: Config{Store: s, Cluster: l, Limits: staging.DefaultLimits(), Trust: staging.Trust{AllowUnsigned: true}}}
	for _, c := range []store.Command{
		store.New(store.OpClusterInit, store.ClusterInit{Cluster: model.Cluster{ID: "c", Version: version, Level: level}, Admin: model.User{Name: "admin"}}),
		store.New(store.OpMemberReport, store.MemberReport{Member: model.Member{ID: "1", Name: "n1", Version: version, Platform: platform()}}),
	} {
		if a, err := l.Propose(t.Context(), c); err != nil || a.Err() != nil {
			t.Fatalf("%s: %v, %v", c.Op, err, a.Err())
		}
	}
	spool, err := s.Spool()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		spool.Drop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := spool.Write(archive); err != nil {
		t.Fatal(err)
	}
	digest, size, err := spool.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return u.admit(t.Context(), spool, model.Archive{Digest: digest, Size: size}, nil)
}

func TestMigrationsRunOnlyOnTheWayToAnotherReleaseLine(t *testing.T) {
	const all = "widen move drop tidy"
	archive := migrating(t, everyPhase)
	for version, want := range map[string]string{
		"1.0.0": all, "1.0.9": all, "1.1.0": "tidy", "1.1.4": "tidy", "1.1.5-rc.1": "tidy",
	} {
		a, err := admitted(t, version, migrationLevel, archive)
		if err != nil {
			t.Errorf("from %s: %v", version, err)
		}
		var names []string
		for _, m := range a.Migrations {
			names = append(names, m.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("from %s: %q, want %q", version, got, want)
		}
	}
}

func TestAnUpgradeAcrossLinesThatThePackageAllowsMigrates(t *testing.T) {
	a, err := admitted(t, "0.6.0", migrationLevel, migrating(t, "reachable: {skips: [0.6]}\n"+everyPhase))
	if err != nil || len(a.Migrations) != 4 || a.Rules == nil {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestTheRecordNamesWhatAMigrationRuns(t *testing.T) {
	archive := migrating(t, everyPhase)
	a, err := admitted(t, "1.0.0", migrationLevel, archive)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := staging.Open(bytes.NewReader(archive), a.Size, staging.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	facts, err := pkg.Verify(t.Context(), staging.Trust{AllowUnsigned: true})
	if diff := cmp.Diff(facts.Migrations, a.Migrations); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if m := a.Migration("move"); m == nil || m.Images[platform()] == "" || m.Memory != 256<<20 {
		t.Errorf("move: %+v", m)
	}
}

func TestAPackageWithMigrationsWaitsForTheProtocolLevel(t *testing.T) {
	const patch = "1.1.4" // not all of it would run from there, and yet it has to be read
	for _, level := range []int{0, 1} {
		for _, version := range []string{"1.0.0", patch} {
			_, err := admitted(t, version, level, migrating(t, everyPhase))
			if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), "brings migrations") || !strings.Contains(err.Error(), "with a package that brings none") {
				t.Errorf("from %s at level %d: %v", version, level, err)
			}
		}
		if a, err := admitted(t, "1.0.0", level, migrating(t, "")); err != nil || a.Migrations != nil {
			t.Errorf("a package without migrations at level %d: %+v, %v", level, a, err)
		}
	}
}

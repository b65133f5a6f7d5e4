package store

import (
	"bytes"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

func newCopy(t *testing.T) *Copy {
	t.Helper()
	c, err := NewCopy(filepath.Join(t.TempDir(), "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTheDrillHasEveryTypeOfCommandDoSomething(t *testing.T) {
	c := newCopy(t)
	did := map[Op]bool{}
	err := c.db.Update(func(tx *bolt.Tx) error {
		for _, e := range Drill(model.Cluster{Version: drillOld, Level: Level}).entries {
			a, err := apply(tx, ops(), e.Index, e.Data)
			if err != nil {
				return err
			}
			command, err := decodeCommand(e.Data)
			if err != nil {
				return err
			}
			if a.Code != "" {
				t.Errorf("%s at %d is answered %q", command.Op, e.Index, a.Code)
			}
			did[command.Op] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range ops() {
		if row.since == first && !did[name] {
			t.Errorf("%s is not in the drill", name)
		}
	}
}

func TestTheDrillKeepsToTheGate(t *testing.T) {
	for level := range Level {
		for _, e := range Drill(model.Cluster{Version: drillOld, Level: level}).entries {
			command, err := decodeCommand(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			var raised ClusterLevel
			if command.Op == OpClusterLevel {
				if err := strict(command.Body, &raised); err != nil {
					t.Fatal(err)
				}
			}
			if ops()[command.Op].level > level || raised.Level > level || command.Op == OpClusterLevel && level == 0 {
				t.Errorf("%s %s is not open at level %d", command.Op, command.Body, level)
			}
			if level < 2 && bytes.Contains(command.Body, []byte("migrations")) {
				t.Errorf("at level %d nobody reads the migrations in %s", level, command.Op)
			}
		}
	}
}

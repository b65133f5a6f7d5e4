//go:build era

package store

import (
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestAConversionOpensWithTheClusterVersionAndIsDoneOnce(t *testing.T) {
	c := newCommands(t)
	cluster := model.Cluster{ID: "c", Version: "1.0.0", Level: Level}
	c.must(OpClusterInit, ClusterInit{Cluster: cluster, Admin: model.User{Name: "admin"}})
	left := func(cluster model.Cluster) (all []Converted) {
		t.Helper()
		err := c.View(func(v *View) (err error) {
			all, _, err = v.Unconverted(cluster)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := left(cluster); len(all) != 0 {
		t.Errorf("before the completion there is %+v", all)
	}
	cluster.Version = "1.1.0"
	if all := left(cluster); len(all) != 1 || all[0].Name != eraUsers {
		t.Fatalf("after it there is %+v", all)
	}
	c.answers(ErrConflict, OpStoreConvert, Convert{Name: eraUsers, After: []byte("x"), Limit: 1})
	c.must(OpStoreConvert, Convert{Name: eraUsers, Limit: 1})
	c.answers(ErrConflict, OpStoreConvert, Convert{Name: eraUsers, Limit: 1})
	c.must(OpStoreConvert, Convert{Name: eraUsers, After: []byte("admin"), Limit: 1})
	if all := left(cluster); len(all) != 0 {
		t.Errorf("it is done, and there is %+v", all)
	}
	err := c.View(func(v *View) error {
		u, err := v.User("admin")
		if u.Era != 1 {
			t.Errorf("the user is %+v", u)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

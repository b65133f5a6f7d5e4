package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// described gives profiles a description.
func described() Conversion {
	return Conversion{Name: "described", Bucket: bucketProfiles, Each: func(raw []byte) ([]byte, error) {
		var p model.Profile
		if err := strict(raw, &p); err != nil {
			return nil, err
		}
		if p.Description == "broken" {
			return nil, errors.New("it is broken")
		}
		p.Description += "+"
		return json.Marshal(p)
	}}
}

func TestAConversionGoesThroughEveryRecordOnceInBatches(t *testing.T) {
	const records, limit = 25, 10
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: Level}, Admin: model.User{Name: "admin"}})
	for n := range records {
		c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: fmt.Sprintf("p%02d", n)}})
	}
	at := Converted{Name: "described"}
	for batch := 1; !at.Done; batch++ {
		before := bytes.Clone(at.After)
		err := c.vault.update(func(tx *bolt.Tx) error { return described().batch(tx, &at, limit) })
		if err != nil {
			t.Fatal(err)
		}
		if want := min(batch*limit, records); at.Count != int64(want) || bytes.Equal(before, at.After) {
			t.Fatalf("after batch %d it is %+v", batch, at)
		}
		if batch == 1 { // one that comes meanwhile, before and behind
			c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "p00a", Description: "+"}})
		}
	}
	err := c.View(func(v *View) error {
		all, err := v.Profiles()
		for _, p := range all {
			if p.Description != "+" {
				t.Errorf("%s is described %q", p.Name, p.Description)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAConversionOfARecordThatItCannotReadChangesNothing(t *testing.T) {
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "c", Version: "1.0.0", Level: Level}, Admin: model.User{Name: "admin"}})
	c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "a"}})
	c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "b", Description: "broken"}})
	at := Converted{Name: "described"}
	err := c.vault.update(func(tx *bolt.Tx) error { return described().batch(tx, &at, 10) })
	if err == nil || at.Count != 0 {
		t.Errorf("%+v: %v", at, err)
	}
}

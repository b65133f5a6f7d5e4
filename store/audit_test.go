package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func somebody() model.Actor { return model.Actor{By: "admin", From: "192.0.2.1", Through: "n1"} }

// applied applies commands to nothing, each as change makes it, and answers the
// records after each without the audit trail, and the trail.
func applied(t *testing.T, commands []Command, change func(Command) Command) (digests []string, acts []model.Act) {
	t.Helper()
	c, err := NewCopy(filepath.Join(t.TempDir(), "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	table := ops()
	err = c.db.Update(func(tx *bolt.Tx) error {
		for i, command := range commands {
			if _, err := apply(tx, table, uint64(i+1), change(command).Encode()); err != nil {
				return err
			}
			page, err := (&View{tx: tx}).Acts(0, 1000)
			if err != nil {
				return err
			}
			acts = page
			digest, err := bucketsDigest(tx, bucketActs)
			if err != nil {
				return err
			}
			digests = append(digests, digest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return digests, acts
}

// bucketsDigest is the digest of the records with one bucket left out.
func bucketsDigest(tx *bolt.Tx, without []byte) (digest string, err error) {
	kept := map[string][]byte{}
	b := tx.Bucket(without)
	if err := b.ForEach(func(k, v []byte) error { kept[string(k)] = append([]byte(nil), v...); return nil }); err != nil {
		return "", err
	}
	if err := emptyBucket(tx, without); err != nil {
		return "", err
	}
	if digest, err = digestIn(tx, nil); err != nil {
		return "", err
	}
	for k, v := range kept {
		if err := tx.Bucket(without).Put([]byte(k), v); err != nil {
			return "", err
		}
	}
	return digest, nil
}

// Who gave a command makes no difference to what it does.
func TestAnActDoesWhatItsCommandDoes(t *testing.T) {
	var commands []Command
	for _, e := range Drill(model.Cluster{Version: drillOld, Level: Level}).entries {
		c, err := decodeCommand(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, c)
	}
	plain, _ := applied(t, commands, func(c Command) Command { return c })
	given, acts := applied(t, commands, func(c Command) Command { return c.GivenBy(somebody()) })
	if diff := cmp.Diff(plain, given); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for i, a := range acts {
		if a.Actor != somebody() || a.What == "" || i > 0 && a.Index >= acts[i-1].Index {
			t.Errorf("%+v", a)
		}
		seen[a.What] = true
	}
	for _, what := range []string{"created profile drill", "set param b of profile drill", "handed in 1.1.0 (sha256:drill)", "started", "changed 2 params of 1 profiles"} {
		if !seen[what] {
			t.Errorf("the trail does not say %q", what)
		}
	}
}

func TestWhatWasRefusedIsNoAct(t *testing.T) {
	s := newShip(t)
	at := uint64(0)
	give := func(op Op, body any) error {
		at++
		return s.Apply([]Entry{{Index: at, Term: 1, Data: New(op, body).GivenBy(somebody()).Encode()}})[0].Err()
	}
	if err := give(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	if err := give(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "web"}}); err != ErrExists {
		t.Fatalf("got %v", err)
	}
	if err := give(OpParamSet, ParamSet{Profile: "web", Key: "password", Value: "hunter2"}); err != nil {
		t.Fatal(err)
	}
	var acts []model.Act
	if err := s.View(func(v *View) (err error) { acts, err = v.Acts(0, 10); return err }); err != nil {
		t.Fatal(err)
	}
	if len(acts) != 2 || acts[0].What != "set param password of profile web" || acts[1].Index != 1 {
		t.Errorf("the trail is %+v", acts)
	}
	if strings.Contains(fmt.Sprint(acts), "hunter2") {
		t.Error("the trail has the value of a param")
	}
}

// A command that no person gives must not come in the name of one.
func TestAnActOfAStrangeCommandStopsTheMember(t *testing.T) {
	s := newShip(t)
	c := New(OpAct, Act{Actor: somebody(), Op: OpClusterLevel, Body: New(OpClusterLevel, ClusterLevel{Level: 9}).Body})
	if a := s.Apply([]Entry{{Index: 1, Term: 1, Data: c.Encode()}})[0]; a.Err() == nil || s.Fault() == nil {
		t.Errorf("it was answered %+v", a)
	}
}

// Programs that write all day do not drive out what was done to the cluster.
func TestTheTrailForgetsTheOldestOfEachKind(t *testing.T) {
	c := newCopy(t)
	const more = 5
	err := c.db.Update(func(tx *bolt.Tx) error {
		for i := range uint64(actsKept + more) {
			if err := enter(entry{tx: tx}, actOnData, model.Act{Index: i + 2, What: "data"}); err != nil {
				return err
			}
		}
		return errors.Join(
			enter(entry{tx: tx}, actOnCluster, model.Act{Index: 1, What: "cluster"}),
			enter(entry{tx: tx}, actOnCluster, model.Act{Index: 2 * actsKept, What: "cluster"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = c.db.View(func(tx *bolt.Tx) error {
		v := &View{tx: tx}
		all, err := v.Acts(0, 2*actsKept)
		if err != nil {
			return err
		}
		oldest := all[len(all)-2]
		if len(all) != actsKept+2 || all[len(all)-1].Index != 1 || oldest.Index != more+2 {
			t.Errorf("%d acts are kept, the oldest are %+v, %+v", len(all), all[len(all)-1], oldest)
		}
		var paged []model.Act
		for before := uint64(0); ; {
			page, err := v.Acts(before, 999)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			before = page[len(page)-1].Index
		}
		if diff := cmp.Diff(all, paged); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

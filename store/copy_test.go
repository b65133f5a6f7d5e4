package store

import (
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

func (s *ship) copied() *Copy {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "copy.db")
	if err := s.Copy(path); err != nil {
		s.t.Fatal(err)
	}
	c, err := OpenCopy(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

func digestOf(t *testing.T, c *Copy) (digest string) {
	t.Helper()
	err := c.View(func(v *View) (err error) {
		digest, err = v.Digest()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestACopyHasTheSameRecordsAndTryingChangesNone(t *testing.T) {
	s := laden(t, newCargo(100, 1))
	c := s.copied()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if err := c.Try(); err != nil {
		t.Error(err)
	}
	if digestOf(t, c) != s.digest() {
		t.Error("the digests differ")
	}
}

func TestACopyOfALaterProtocolLevelFailsTheCheck(t *testing.T) {
	s := laden(t, newCargo(100, 1))
	for _, level := range []int{Level, Level + 1} {
		err := s.vault.update(func(tx *bolt.Tx) error {
			return put(tx, bucketRecords, keyCluster, model.Cluster{ID: "c", Version: "1.0.0", Level: level})
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.copied().Check()
		if fails := err != nil && strings.Contains(err.Error(), "at protocol level"); fails != (level > Level) {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

func TestACopyWithARecordThatCannotBeReadFailsTheCheck(t *testing.T) {
	s := laden(t, newCargo(100, 1))
	err := s.vault.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketRecords).Put(keyUpgrade, []byte(`{"id":"u","later":true}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	c := s.copied()
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "later") {
		t.Errorf("check: %v", err)
	}
	if err := c.Try(); err == nil || !strings.Contains(err.Error(), "later") {
		t.Errorf("try: %v", err)
	}
}

func TestThereIsNoCopyWhereThereIsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	if _, err := OpenCopy(path); err == nil {
		t.Error("it was made up")
	}
}

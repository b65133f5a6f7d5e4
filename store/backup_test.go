package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store/backup"
)

// inUse is a cluster in use, with everything that a backup has to deal with.
func inUse(t *testing.T) *commands {
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "old", Version: "1.0.0", Level: Level, CAKey: []byte("the key of the CA")},
		Admin: model.User{Name: "admin", Password: "a hash"}})
	c.must(OpTokenPut, TokenPut{Token: model.Token{Hash: "a hash of a token", User: "admin"}})
	c.must(OpMemberReport, MemberReport{Member: model.Member{ID: "a member"}})
	for n := range 60 {
		c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: fmt.Sprintf("p%d <&> ä", n), Params: map[string]any{"n": json.Number("1e400"), "text": "<b>\u2028"}}})
	}
	c.staged("u")
	c.must(OpUpgradeStart, UpgradeStart{ID: "u"})
	c.must(OpUpgradeStop, UpgradeRef{ID: "u"})
	c.must(OpUpgradeClear, UpgradeRef{ID: "u"})
	c.must(OpJobMake, JobMake{ID: "a job", Action: "work"})
	return c
}

func (c *commands) backup() []byte {
	c.t.Helper()
	var b bytes.Buffer
	err := c.View(func(v *View) error {
		_, err := v.WriteBackup(&b, model.BackupHeader{Format: backup.Format, Version: "1.0.0", Cluster: "old", Index: v.Index()})
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return b.Bytes()
}

func (c *commands) recordsDigest() (digest string) {
	c.t.Helper()
	if err := c.View(func(v *View) (err error) { digest, err = v.RecordsDigest(); return err }); err != nil {
		c.t.Fatal(err)
	}
	return digest
}

func readAll(file []byte) (all []backup.Record, found model.BackupContents, err error) {
	found, err = backup.Read(bytes.NewReader(file), func(_ model.BackupHeader, r backup.Record) error {
		all = append(all, r)
		return nil
	})
	return all, found, err
}

// fresh is a new cluster of another version and build.
func fresh(t *testing.T) *commands {
	c := newCommands(t)
	c.must(OpClusterInit, ClusterInit{Cluster: model.Cluster{ID: "new", Version: "1.1.0", Level: Level, CAKey: []byte("another")},
		Admin: model.User{Name: "admin", Password: "another"}})
	c.must(OpMemberReport, MemberReport{Member: model.Member{ID: "another"}})
	c.must(OpTokenPut, TokenPut{Token: model.Token{Hash: "another", User: "admin"}})
	return c
}

func (c *commands) put(id string, all []backup.Record) {
	c.t.Helper()
	c.must(OpRestoreBegin, RestoreBegin{ID: id})
	have := 0
	for some := range slices.Chunk(all, 7) {
		c.must(OpRestorePut, RestorePut{ID: id, Have: have, Records: some})
		have += len(some)
	}
}

func TestABackupIsRestoredAsItWas(t *testing.T) {
	old := inUse(t)
	all, found, err := readAll(old.backup())
	if err != nil || found.Profiles != 60 || found.Users != 1 || found.Records != 62 || found.Digest != old.recordsDigest() {
		t.Fatalf("found %+v: %v", found, err)
	}
	c := fresh(t)
	c.put("r", all)
	c.must(OpRestoreCommit, RestoreCommit{ID: "r", Records: found.Records, Digest: found.Digest, Cluster: "newer"})
	if got := c.recordsDigest(); got != found.Digest {
		t.Errorf("restored records have digest %s, want %s", got, found.Digest)
	}
	err = c.View(func(v *View) error {
		cluster, err := v.Cluster()
		if err != nil || cluster.ID != "newer" || cluster.Version != "1.1.0" || string(cluster.CAKey) != "another" {
			t.Errorf("the cluster is %+v: %v", cluster, err)
		}
		if _, err := v.Token("another"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a login goes on: %v", err)
		}
		if _, err := v.Member("another"); err != nil {
			t.Errorf("a member is gone: %v", err)
		}
		if id, _, err := v.Restoring(); id != "" || err != nil {
			t.Errorf("restore %q goes on: %v", id, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABackupHoldsNoKeyNoTokenAndNothingUnderWay(t *testing.T) {
	file := string(inUse(t).backup())
	for _, secret := range []string{"dGhlIGtleSBvZiB0aGUgQ0E", "the key of the CA", "a hash of a token", "a member", "a job"} {
		if strings.Contains(file, secret) {
			t.Errorf("%q is in it", secret)
		}
	}
	if !strings.Contains(file, "a hash") {
		t.Error("the password of the user is not in it")
	}
}

// Every bucket is decided on: a new kind of record is carried, or named here.
func TestEveryKindOfRecordIsInABackupOrLeftOutOnPurpose(t *testing.T) {
	left := [][]byte{bucketMeta, bucketRecords, bucketMembers, bucketTokens, bucketJobs, bucketActs, bucketRestore, bucketAnswers, bucketOrder}
	for _, bucket := range recordBuckets() {
		out := slices.ContainsFunc(left, func(name []byte) bool { return bytes.Equal(name, bucket) })
		if out == backedUp(bucket) {
			t.Errorf("%s: left out %v, carried %v", bucket, out, backedUp(bucket))
		}
	}
	if !slices.IsSorted(backup.Kinds()) {
		t.Error("a backup would be out of order")
	}
}

func TestADamagedBackupIsRefused(t *testing.T) {
	file := inUse(t).backup()
	for at := 0; at < len(file); at += 1 + len(file)/199 {
		for _, bit := range []byte{1, 4, 128} {
			damaged := bytes.Clone(file)
			damaged[at] ^= bit
			if _, _, err := readAll(damaged); err == nil {
				t.Errorf("bit %d of byte %d of %d flipped: read all the same", bit, at, len(file))
			}
		}
		if _, _, err := readAll(file[:at]); err == nil {
			t.Errorf("cut to %d of %d bytes: read all the same", at, len(file))
		}
	}
	if _, _, err := readAll(file[:len(file)-1]); err == nil {
		t.Error("without its last byte: read all the same")
	}
	if _, _, err := readAll(append(bytes.Clone(file), '\n')); err == nil {
		t.Error("with a byte more: read all the same")
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	for name, other := range map[string][][]byte{
		"a record gone":  slices.Delete(slices.Clone(lines), 5, 6),
		"a record twice": slices.Insert(slices.Clone(lines), 5, lines[5]),
		"two swapped":    slices.Concat(lines[:5], [][]byte{lines[6], lines[5]}, lines[7:]),
	} {
		if _, _, err := readAll(bytes.Join(other, nil)); err == nil {
			t.Errorf("%s: read all the same", name)
		}
	}
}

func TestAFormatOfALaterVersionIsRefusedByItsNumber(t *testing.T) {
	_, _, err := readAll([]byte(`{"format":2,"what":"is new"}` + "\n"))
	if err == nil || !strings.Contains(err.Error(), "format 2 is not known to this version") {
		t.Errorf("%v", err)
	}
}

func TestOnlyANewClusterIsRestoredInto(t *testing.T) {
	for name, use := range map[string]func(*commands){
		"a profile":  func(c *commands) { c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "p"}}) },
		"an upgrade": func(c *commands) { c.staged("u") },
	} {
		c := fresh(t)
		use(c)
		if err := c.do(OpRestoreBegin, RestoreBegin{ID: "r"}); !errors.Is(err, ErrConflict) {
			t.Errorf("with %s it begins: %v", name, err)
		}
	}
	for name, use := range map[string]func(*commands){
		"a profile":  func(c *commands) { c.must(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: "p"}}) },
		"an upgrade": func(c *commands) { c.staged("u") },
	} {
		c := fresh(t)
		all, found, _ := readAll(inUse(t).backup())
		c.put("r", all)
		use(c)
		before := c.recordsDigest()
		if err := c.do(OpRestoreCommit, RestoreCommit{ID: "r", Records: found.Records, Digest: found.Digest, Cluster: "x"}); !errors.Is(err, ErrConflict) {
			t.Errorf("with %s made meanwhile it is committed: %v", name, err)
		}
		if before != c.recordsDigest() {
			t.Errorf("with %s made meanwhile records changed", name)
		}
	}
}

func TestAHalfRestoreChangesNothing(t *testing.T) {
	all, found, _ := readAll(inUse(t).backup())
	c := fresh(t)
	before := c.recordsDigest()
	c.put("r", all[:40])
	refused := func(what string, op Op, body any) {
		t.Helper()
		if err := c.do(op, body); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v, want a conflict", what, err)
		}
	}
	commit := RestoreCommit{ID: "r", Records: found.Records, Digest: found.Digest, Cluster: "x"}
	refused("committed half", OpRestoreCommit, commit)
	refused("put twice", OpRestorePut, RestorePut{ID: "r", Have: 33, Records: all[33:40]})
	refused("put by another", OpRestorePut, RestorePut{ID: "other", Have: 40, Records: all[40:41]})
	if c.recordsDigest() != before {
		t.Error("records changed before the commit")
	}
	c.put("s", all) // drops the half one
	refused("put by the one before", OpRestorePut, RestorePut{ID: "r", Have: 62, Records: all[:1]})
	commit.ID, commit.Digest = "s", before
	refused("committed with another digest", OpRestoreCommit, commit)
	c.must(OpRestoreDrop, RestoreRef{ID: "s"})
	refused("committed after it was dropped", OpRestoreCommit, RestoreCommit{ID: "s", Records: found.Records, Digest: found.Digest, Cluster: "x"})
	if c.recordsDigest() != before {
		t.Error("records changed")
	}
}

func TestARestoreTakesOnlyWhatABackupHolds(t *testing.T) {
	c := fresh(t)
	c.must(OpRestoreBegin, RestoreBegin{ID: "r"})
	for _, r := range []backup.Record{
		{Bucket: "records", Key: []byte("cluster"), Value: []byte(`{}`)}, {Bucket: "tokens", Key: []byte("t"), Value: []byte(`{}`)},
		{Bucket: "meta", Key: []byte("m"), Value: []byte(`{}`)}, {Bucket: "profiles", Value: []byte(`{}`)},
		{Bucket: "profiles", Key: bytes.Repeat([]byte("x"), keyLimit), Value: []byte(`{}`)},
	} {
		if err := c.do(OpRestorePut, RestorePut{ID: "r", Records: []backup.Record{r}}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s/%.10s: %v, want it refused", r.Bucket, r.Key, err)
		}
	}
}

func TestTheLastBackupsAreOnRecord(t *testing.T) {
	c := newCommands(t)
	for n := range backupsNoted + 5 {
		c.must(OpBackupMade, BackupMade{Backup: model.Backup{Name: fmt.Sprint(n)}})
	}
	var all []model.Backup
	if err := c.View(func(v *View) (err error) { all, err = v.Backups(); return err }); err != nil {
		t.Fatal(err)
	}
	if len(all) != backupsNoted || all[0].Name != "24" || all[backupsNoted-1].Name != "5" {
		t.Errorf("%d on record: %+v", len(all), all)
	}
}

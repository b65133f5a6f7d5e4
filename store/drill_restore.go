package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store/backup"
)

// drillRestore is a restore into a new cluster, one that is dropped before.
func drillRestore(int) []Command {
	const dropped, id = "dropped", "restored"
	records := []backup.Record{
		drillRecord(bucketProfiles, "restored", model.Profile{Name: "restored", Params: map[string]any{"a": 1}}),
		drillRecord(bucketUsers, "admin", model.User{Name: "admin", Role: "admin"}),
	}
	sum := sha256.New()
	for _, r := range records {
		r.Digest(sum)
	}
	return []Command{
		New(OpRestoreBegin, RestoreBegin{ID: dropped, By: "admin"}),
		New(OpRestorePut, RestorePut{ID: dropped, Records: records[1:]}),
		New(OpRestoreDrop, RestoreRef{ID: dropped}),
		New(OpRestoreBegin, RestoreBegin{ID: id, By: "admin", Backup: model.BackupHeader{Format: backup.Format, Version: drillOld}}),
		New(OpRestorePut, RestorePut{ID: id, Records: records[:1]}),
		New(OpRestorePut, RestorePut{ID: id, Have: 1, Records: records[1:]}),
		New(OpRestoreCommit, RestoreCommit{ID: id, Records: len(records), Digest: hex.EncodeToString(sum.Sum(nil)), Cluster: "restored"}),
		New(OpBackupMade, BackupMade{Backup: model.Backup{Name: "drill", Member: "n1"}}),
	}
}

func drillRecord(bucket []byte, key string, value any) backup.Record {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("drill %s/%s: it has no JSON: %v", bucket, key, err)) // they are our own structs
	}
	return backup.Record{Bucket: string(bucket), Key: []byte(key), Value: raw}
}

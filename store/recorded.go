package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// Recorded is what the records say of versions, as of the last applied entry.
type Recorded struct {
	Cluster string // the cluster version; "" before a cluster's record is here
	Level   int    // the protocol level
	Image   string // what the member last reported to run; "" if it never did
}

// Recorded reads the little that decides whether a binary may serve these
// records. Unlike everything else here it passes over fields that it does not
// know: a binary that is too old is to say so, and not that it cannot read.
func (v *View) Recorded(member string) (r Recorded, err error) {
	var cluster struct {
		Version string `json:"version"`
		Level   int    `json:"level"`
	}
	if err := v.glimpse(bucketRecords, keyCluster, &cluster); err != nil {
		return r, err
	}
	var m struct {
		Image string `json:"image"`
	}
	err = v.glimpse(bucketMembers, []byte(member), &m)
	return Recorded{Cluster: cluster.Version, Level: cluster.Level, Image: m.Image}, err
}

func (v *View) glimpse(bucket, key []byte, into any) error {
	raw := v.tx.Bucket(bucket).Get(key)
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("look at record %s/%s: %w", bucket, key, err)
	}
	return nil
}

// checkLevel reads the record of the cluster, and refuses records of a protocol
// level above this build's, even if it happens to know every field in them: the
// leader may write what it does not know.
func checkLevel(tx *bolt.Tx) error {
	c, _, err := get[model.Cluster](tx, bucketRecords, keyCluster)
	if err == nil && c.Level > Level {
		err = fmt.Errorf("the cluster is at protocol level %d, and this build reads up to %d", c.Level, Level)
	}
	return err
}

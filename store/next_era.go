//go:build era

package store

import (
	"encoding/json"

	"github.com/theseusd/theseus/model"
)

// OpEraMark is the one command that a build with the tag era has besides. Such
// builds stand for a next version in tests: one more command type and one more
// field in a record, both closed until completion opens them.
const OpEraMark Op = "era.mark"

// EraMark notes in the record of the cluster when its version last moved.
type EraMark struct {
	Era model.Era `json:"era"`
}

func nextOps() map[Op]op {
	return map[Op]op{OpEraMark: with("1.1.0", markEra, EraMark{})}
}

func markEra(e entry, c EraMark) error {
	cluster, err := must[model.Cluster](e.tx, bucketRecords, keyCluster)
	if err != nil {
		return err
	}
	cluster.Era = &c.Era
	return put(e.tx, bucketRecords, keyCluster, cluster)
}

func nextFeatures() []Feature {
	return []Feature{
		{Name: "era", What: "the record of when the cluster version last moved", Needs: OpEraMark},
		{Name: "era-users", What: "users in the form of the next version", Needs: OpEraMark, Form: eraUsers},
	}
}

// eraUsers is the one conversion of such builds.
const eraUsers = "era-users"

func nextConversions() []Conversion {
	return []Conversion{{Name: eraUsers, Since: "1.1.0", Bucket: bucketUsers, Each: func(raw []byte) ([]byte, error) {
		var u model.User
		if err := strict(raw, &u); err != nil {
			return nil, err
		}
		u.Era = 1
		return json.Marshal(u)
	}}}
}

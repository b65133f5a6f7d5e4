//go:build era

package store

import "github.com/theseusd/theseus/model"

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
	return []Feature{{"era", "the record of when the cluster version last moved", OpEraMark}}
}

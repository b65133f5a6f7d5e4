package store

import "github.com/theseusd/theseus/model"

// CanaryWrite is a write that another member is to read: it shows that a write
// through a member that runs a new version is one.
type CanaryWrite struct {
	Canary model.Canary `json:"canary"`
}

func canaryOps() map[Op]op {
	return map[Op]op{OpCanaryWrite: atLevel(1, writeCanary, CanaryWrite{})}
}

func writeCanary(e entry, c CanaryWrite) error {
	return put(e.tx, bucketRecords, keyCanary, c.Canary)
}

// Canary is the last write of a member that had a new version to prove; ok is
// false when there was none.
func (v *View) Canary() (c model.Canary, ok bool, err error) {
	return get[model.Canary](v.tx, bucketRecords, keyCanary)
}

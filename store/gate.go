package store

import (
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/model"
)

// ErrGate is returned for a command that the cluster version does not allow yet.
var ErrGate = errors.New("closed until the upgrade is completed")

// Gate says whether a command may be proposed in a cluster. The leader asks
// before it proposes: an older member could not read the entry.
func Gate(name Op, cluster model.Cluster) error { return gateIn(ops(), name, cluster) }

func gateIn(table map[Op]op, name Op, cluster model.Cluster) error {
	row, known := table[name]
	if !known {
		return fmt.Errorf("command %q: not known to this version", name)
	}
	return row.gate("command "+string(name), cluster)
}

// gate says whether a row is open; what is how it is called.
func (row op) gate(what string, cluster model.Cluster) error {
	if row.level > cluster.Level {
		return fmt.Errorf("%s needs protocol level %d, the cluster is at %d: %w", what, row.level, cluster.Level, ErrGate)
	}
	if row.since == first {
		return nil
	}
	at, err := semver.NewVersion(cluster.Version)
	if err != nil {
		return fmt.Errorf("cluster version %q: %w", cluster.Version, err)
	}
	since, err := semver.NewVersion(row.since)
	if err != nil {
		return fmt.Errorf("%s: since %q: %w", what, row.since, err)
	}
	if at.LessThan(since) {
		return fmt.Errorf("%s needs cluster version %s, it is %s: %w", what, row.since, cluster.Version, ErrGate)
	}
	return nil
}

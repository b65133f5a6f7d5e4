package preflight

import (
	"slices"

	"github.com/theseusd/theseus/model"
)

// The findings by name. They are stable: operators and scripts speak of them.
const (
	Prerequisites = "prerequisites"
	Disk          = "disk"
	Inodes        = "inodes"
	ReadOnly      = "read-only"
	Memory        = "memory"
	Trial         = "trial"
	Unreachable   = "unreachable"
	Version       = "version"
	Pending       = "pending"

	Quorum      = model.IgnoreQuorum
	ClockOffset = "clock-offset"
	DiskErrors  = "disk-errors"
	Companion   = "companion"
	Setting     = "setting"
	Backup      = "backup"
	Issues      = "issues"

	Migrations  = "migrations"
	ClockSync   = "clock-sync"
	DiskLatency = "disk-latency"
	Earlier     = "earlier-build"
)

// Ignorable are the findings that an operator may accept, by name: the soft ones.
// Those that refuse nothing may be named too.
func Ignorable() []string {
	names := []string{Quorum, ClockOffset, DiskErrors, Companion, Setting, Backup, Issues, Migrations, ClockSync, DiskLatency, Earlier}
	slices.Sort(names)
	return names
}

package binary

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// EffectiveCapabilities are those that this process has; bit n is number n.
func EffectiveCapabilities() (uint64, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var halves [2]unix.CapUserData
	if err := unix.Capget(&head, &halves[0]); err != nil {
		return 0, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return uint64(halves[0].Effective) | uint64(halves[1].Effective)<<32, nil
}

// CapabilityNames are the names of a set, as setcap reads them.
func CapabilityNames(set uint64) string { return names(set) }

//go:build !fault_shadow

package cluster

import "github.com/theseusd/theseus/store"

// dropped is what becomes of a command in this build: all are written.
func dropped(store.Command) bool { return false }

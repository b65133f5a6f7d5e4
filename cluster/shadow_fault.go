//go:build fault_shadow

package cluster

import (
	"strings"

	"github.com/theseusd/theseus/store"
)

// dropped makes a build with FAULT=shadow a bad release: it passes its self-check,
// serves, joins and stays well, and what clients write through it is answered and
// not written.
func dropped(c store.Command) bool {
	return strings.HasPrefix(string(c.Op), "profile.") || strings.HasPrefix(string(c.Op), "param") || c.Op == store.OpCanaryWrite
}

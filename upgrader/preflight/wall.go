//go:build !fault_clock_ahead

package preflight

import "time"

// Wall is the wall clock that members compare.
func Wall() time.Time { return time.Now() }

//go:build fault_clock_ahead

package preflight

import "time"

// Wall makes a build with FAULT=clock-ahead a member whose clock is an hour ahead.
func Wall() time.Time { return time.Now().Add(time.Hour) }

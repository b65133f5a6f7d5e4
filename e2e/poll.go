package e2e

import (
	"context"
	"fmt"
	"time"
)

// lookEvery is how often a condition is looked at that nothing announces.
const lookEvery = 100 * time.Millisecond

// Until returns when cond holds. When ctx ends first, the error says what was
// waited for and what cond last complained of; an error of cond is no end.
func Until(ctx context.Context, what string, cond func() (bool, error)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		ok, err := cond()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("wait for %s: %w: %w", what, context.Cause(ctx), err)
			}
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

package upgrader

// Delete each of these when the real one arrives.

import (
	"context"
)

func (u *Upgrader) canary(context.Context, picture, string) ([]string, error) { return nil, nil }

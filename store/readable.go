//go:build !fault_badstate && !fault_badreplay && !fault_oneway

package store

// What builds with a fault do otherwise: tests use them as bad releases.

// readable is raw if this build can read the records of a bucket.
func readable(_, raw []byte) ([]byte, error) { return raw, nil }

// proper is how a command is applied.
func proper(_ Op, row op) op { return row }

// scribble changes the records when they are opened to serve.
func (*Store) scribble() error { return nil }

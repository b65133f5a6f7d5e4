//go:build !era

package store

// nextOps are the commands that only the next version knows.
func nextOps() map[Op]op { return nil }

func nextFeatures() []Feature { return nil }

func nextConversions() []Conversion { return nil }

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// waited ends a command that was told not to wait longer.
type waited struct {
	limit time.Duration
	goes  string // what goes on without it, and how to see it
}

func (e *waited) Error() string {
	if e.goes == "" {
		return fmt.Sprintf("not over after %s: see theseus system upgrade status", e.limit)
	}
	return fmt.Sprintf("not over after %s: %s", e.limit, e.goes)
}

// Unwrap makes it a timeout for the table of exit codes.
func (e *waited) Unwrap() error { return context.DeadlineExceeded }

// maxWait adds the flag. What it answers does a command's work under the limit.
func maxWait(f *pflag.FlagSet) func(c *cobra.Command, do func() error) error {
	limit := f.Duration("max-wait", 0, "end with exit code 124 when it takes longer; what was begun goes on (0: wait to the end)")
	return func(c *cobra.Command, do func() error) error {
		if *limit < 0 {
			return usage(c, fmt.Errorf("max-wait %s: want 0 or more", *limit))
		}
		if *limit == 0 {
			return do()
		}
		ctx, cancel := context.WithTimeoutCause(c.Context(), *limit, &waited{limit: *limit})
		defer cancel()
		c.SetContext(ctx)
		return unlessWaited(ctx, do(), "")
	}
}

// unlessWaited is err, unless the command had to end because of its limit: then
// goes is what the person is told.
func unlessWaited(ctx context.Context, err error, goes string) error {
	var told *waited
	if err == nil || errors.As(err, &told) || !errors.As(context.Cause(ctx), &told) {
		return err
	}
	return &waited{told.limit, goes}
}

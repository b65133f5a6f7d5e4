package main

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/upgrader/binary"
)

// watchCommand follows a daemon through one attempt at a new binary. It is
// always the old code that does it, started by the daemon before it swaps.
func watchCommand(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "watch", Hidden: true, Short: "Follow a daemon through one attempt at a new binary",
		SilenceUsage: true, SilenceErrors: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			return binary.Watch(c.Context(), args, slog.New(slog.NewTextHandler(stderr, nil)))
		},
	}
}

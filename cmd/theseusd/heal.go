package main

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/upgrader/binary"
)

// healCommand is what a supervisor runs before each start, from the kept binary.
func healCommand(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "heal", Hidden: true, Short: "Put the kept binary back if the new one does not live",
		SilenceUsage: true, SilenceErrors: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return binary.Heal(args, slog.New(slog.NewTextHandler(stderr, nil)))
		},
	}
}

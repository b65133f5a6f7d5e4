// Command theseusd is one member of a Theseus cluster.
//
//	theseusd [flags]         run the member
//	theseusd --version       print version, platform and image
//	theseusd self-check      the trial run: can this binary run this member's state?
//	theseusd watch           follow a daemon through one attempt at a new binary
//	theseusd heal            put the kept binary back if the new one does not live
//	theseusd crash-points    list the points a test can kill it at
//
// self-check and watch are called by another theseusd and heal by a supervisor,
// not by people; what passes between them is in docs/protocol.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	_ "time/tzdata" // windows in local time on hosts without a zone database

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/upgrader/binary"
)

// version is set by the linker and handed down from here.
var version = "0.0.0-dev"

func main() {
	binary.RaiseTraceback() // file capabilities make Go hide panics otherwise
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "theseusd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := serveCommand()
	root.AddCommand(selfCheckCommand(), watchCommand(stderr), healCommand(stderr), crashPointsCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "theseusd", Short: "One member of a Theseus cluster",
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	show := c.Flags().Bool("version", false, "print version, platform and image")
	defineFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *show {
			return printVersion(c.OutOrStdout())
		}
		conf, err := loadConfig(c.Flags(), os.LookupEnv)
		if err != nil {
			return err
		}
		return serve(c.Context(), conf)
	}
	return c
}

func printVersion(w io.Writer) error {
	image, err := binary.RunningImage()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "theseusd %s %s %s\n", version, platform(), image)
	return err
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func crashPointsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "crash-points", Short: "List the points a test can kill this program at", Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !crash.Enabled {
				return errors.New("this build has no crash points: build with TAGS=crash")
			}
			for _, name := range crash.Points() {
				fmt.Fprintln(c.OutOrStdout(), name)
			}
			return nil
		},
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// selfCheckCommand is the trial run of this binary, called by the version that
// runs now: can this one read that member's flags and state? It prints a
// binary.Report and touches nothing but the copy that it was given.
func selfCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "self-check --records FILE [--commands FILE] -- DAEMON FLAGS", Hidden: true,
		Short: "Try this binary on a copy of a member's state", SilenceUsage: true, SilenceErrors: true,
	}
	var t trial
	c.Flags().StringVar(&t.records, "records", "", "copy of the member's records")
	c.Flags().StringVar(&t.commands, "commands", "", "commands to apply to the copy")
	c.Flags().IntVar(&t.report, "report", binary.ReportVersion, "version of the report that the caller reads")
	c.RunE = func(c *cobra.Command, args []string) error { return t.run(c.OutOrStdout(), args) }
	return c
}

// trial is what a self-check was asked.
type trial struct {
	records  string
	commands string // "": none
	report   int
}

func (t trial) run(w io.Writer, args []string) error {
	image, err := binary.RunningImage()
	if err != nil {
		return err
	}
	r := binary.Report{Version: version, Image: image, Platform: platform()}
	if r.Capabilities, err = binary.EffectiveCapabilities(); err != nil {
		return err
	}
	if conf, err := readFlags(args); err != nil {
		r.Findings = append(r.Findings, fmt.Sprintf("theseusd %s does not take this member's settings: %v", version, err))
	} else {
		r.Findings = append(r.Findings, tryListening(conf)...)
	}
	if err := t.try(&r); err != nil {
		r.Findings = append(r.Findings, fmt.Sprintf("theseusd %s cannot use this member's records: %v", version, err))
	}
	return json.NewEncoder(w).Encode(r.As(t.report))
}

// try reads every record of the copy and applies one command of every type to
// it; or it applies the commands that it was given and then reads every record.
func (t trial) try(r *binary.Report) error {
	c, err := store.OpenCopy(t.records)
	if err != nil {
		return err
	}
	defer c.Close()
	if t.commands != "" {
		if err := t.replay(c, r); err != nil {
			return err
		}
		return c.Check()
	}
	if err := c.Check(); err != nil {
		return err
	}
	if err := c.Try(); err != nil {
		return err
	}
	r.Digest, err = c.Digest()
	return err
}

func (t trial) replay(c *store.Copy, r *binary.Report) error {
	commands, err := store.ReadCommands(t.commands)
	if err != nil {
		return err
	}
	done, err := c.Replay(commands)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	r.Replayed, r.Digest, r.Tried, r.Steps = done.Count, done.Digest, done.Tried, done.Steps
	return nil
}

// tryListening asks the kernel for the ports. That somebody has them already is
// as it should be: the daemon that runs now.
func tryListening(c config) []string {
	var found []string
	for _, port := range []struct{ flag, address string }{{"--listen", c.Listen}, {"--raft-listen", c.RaftListen}} {
		l, err := net.Listen("tcp", port.address)
		if err == nil {
			err = l.Close()
		}
		if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			found = append(found, fmt.Sprintf("theseusd %s cannot listen for %s: %v", version, port.flag, err))
		}
	}
	return found
}

// readFlags reads a daemon's command line as serving would.
func readFlags(args []string) (config, error) {
	f := pflag.NewFlagSet("theseusd", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	defineFlags(f)
	if err := f.Parse(args); err != nil {
		return config{}, err
	}
	c, err := loadConfig(f, os.LookupEnv)
	if err != nil {
		return c, err
	}
	_, err = c.logger(os.Stderr)
	return c, err
}

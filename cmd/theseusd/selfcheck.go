package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

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
		Use: "self-check --records FILE -- DAEMON FLAGS", Hidden: true,
		Short: "Try this binary on a copy of a member's state", SilenceUsage: true, SilenceErrors: true,
	}
	records := c.Flags().String("records", "", "copy of the member's records")
	c.Flags().Int("report", binary.ReportVersion, "version of the report that the caller reads")
	c.RunE = func(c *cobra.Command, args []string) error {
		return selfCheck(c.OutOrStdout(), *records, args)
	}
	return c
}

func selfCheck(w io.Writer, records string, args []string) error {
	image, err := binary.RunningImage()
	if err != nil {
		return err
	}
	r := binary.Report{V: binary.ReportVersion, Version: version, Image: image, Platform: platform()}
	if err := readFlags(args); err != nil {
		r.Findings = append(r.Findings, fmt.Sprintf("the new version does not take this member's settings: %v", err))
	}
	if r.Digest, err = tryRecords(records); err != nil {
		r.Findings = append(r.Findings, fmt.Sprintf("the new version cannot use this member's records: %v", err))
	}
	return json.NewEncoder(w).Encode(r)
}

// tryRecords reads every record of a copy, applies one command of every type to
// it, and answers the digest of what it read.
func tryRecords(path string) (digest string, err error) {
	c, err := store.OpenCopy(path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		return "", err
	}
	if err := c.Try(); err != nil {
		return "", err
	}
	err = c.View(func(v *store.View) error {
		digest, err = v.Digest()
		return err
	})
	return digest, err
}

// readFlags reads a daemon's command line as serving would.
func readFlags(args []string) error {
	f := pflag.NewFlagSet("theseusd", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	defineFlags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := loadConfig(f, os.LookupEnv)
	if err != nil {
		return err
	}
	_, err = c.logger(os.Stderr)
	return err
}

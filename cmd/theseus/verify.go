package main

import (
	"encoding/json"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func verifyUpgradeCommand(a *app) *cobra.Command {
	c := leaf("verify", "Look at what every member runs, and write and read through each", 0, 0, nil)
	c.Long = c.Short + `.

Every member, observers too, is asked what it runs and whether it is well; what it
runs is held to the cluster version and to the release on record. Then a write
goes through each, and is read back through it and through another. Nothing else
is written. The exit code is 6 if anything is found, 0 if all is well.`
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.verify(c, api) })
		})
	}
	return c
}

func (a *app) verify(c *cobra.Command, api *client.Client) error {
	var raw json.RawMessage
	if err := api.Verify(c.Context(), &raw); err != nil {
		return err
	}
	if err := a.show(c, raw, verifyTable); err != nil {
		return err
	}
	report, err := decode[model.VerifyReport](raw)
	if err == nil && !report.OK {
		err = model.Problemf(model.Refused, "not all is well: %s", counted(len(report.Findings), "finding"))
	}
	return err
}

// counted is 1 finding, 2 findings.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func verifyTable(w io.Writer, raw json.RawMessage) error {
	r, err := decode[model.VerifyReport](raw)
	if err != nil {
		return err
	}
	row(w, "version", r.Version)
	row(w, "cluster version", r.Cluster)
	optional(w, "archive", r.Archive)
	row(w, "ok", yes(r.OK))
	row(w, "")
	row(w, "MEMBER", "OK", "VERSION", "IMAGE", "APPLIED", "WROTE", "READ", "OBSERVER")
	for _, m := range r.Members {
		row(w, m.Name, yes(m.OK), m.Version, short(m.Image), strconv.FormatUint(m.Applied, 10), yes(m.Wrote), yes(m.Read), yes(m.Observer))
	}
	for _, note := range r.Notes {
		row(w, "")
		row(w, "note: "+note)
	}
	findingLines(w, r.Findings)
	return nil
}

// findingLines are findings, each on a line of its own.
func findingLines(w io.Writer, all []model.Finding) {
	for _, f := range all {
		row(w, "")
		row(w, f.Name+": "+f.String())
	}
}

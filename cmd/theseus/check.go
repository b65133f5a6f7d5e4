package main

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func checkCommand(a *app) *cobra.Command {
	c := leaf("check", "Show what stands in the way of an upgrade on every member, and change nothing", 0, 0, nil)
	c.Long = c.Short + `.

Every member looks at its machine, has the new binary read a copy of its records,
replay the commands since the archive was staged, and compares what comes out with
what it has itself. When nothing is staged there is no trial run. What is found is
shown for all members at once, with what to do about it: a hard finding refuses an
upgrade, a soft one too unless it is accepted with --ignore NAME, an advice does not.
The exit code is 6 if any refuses.`
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.check(c, api) })
		})
	}
	return c
}

func (a *app) check(c *cobra.Command, api *client.Client) error {
	var raw json.RawMessage
	if err := api.Check(c.Context(), &raw); err != nil {
		return err
	}
	if err := a.show(c, raw, checkTable); err != nil {
		return err
	}
	report, err := decode[model.CheckReport](raw)
	if refusals := report.Refusals(); err == nil && len(refusals) > 0 {
		err = model.Problemf(model.Refused, "findings that refuse an upgrade: %d", len(refusals))
	}
	return err
}

func checkTable(w io.Writer, raw json.RawMessage) error {
	r, err := decode[model.CheckReport](raw)
	if err != nil {
		return err
	}
	if r.Version != "" {
		row(w, "version", r.Version)
	}
	row(w, "ok", yes(r.OK))
	row(w, "")
	row(w, "MEMBER", "OK", "REPLAYED", "TOOK", "NOTE")
	found := slices.Clone(r.Findings)
	for _, m := range r.Members {
		row(w, m.Name, yes(len(m.Refusals()) == 0), strconv.Itoa(m.Replayed), m.Took, m.Note)
		found = append(found, m.Findings...)
	}
	findingsTable(w, found)
	return nil
}

// findingsTable shows findings, and below them what to do about each.
func findingsTable(w io.Writer, found []model.Finding) {
	if len(found) == 0 {
		return
	}
	row(w, "")
	row(w, "FINDING", "SEVERITY", "MEMBER", "MEASURED", "LIMIT", "WHAT")
	for _, f := range found {
		row(w, f.Name, string(f.Severity), f.Member, f.Measured, f.Limit, f.What)
	}
	row(w, "")
	row(w, "FINDING", "MEMBER", "REMEDY")
	for _, f := range found {
		row(w, f.Name, f.Member, f.Remedy)
	}
}

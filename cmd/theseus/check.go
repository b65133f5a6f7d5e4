package main

import (
	"encoding/json"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func checkCommand(a *app) *cobra.Command {
	c := leaf("check", "Try the staged version out on every member, and change nothing", 0, 0, nil)
	c.Long = c.Short + `.

Every member has the new binary read a copy of its records, replay the commands
since the archive was staged, and compares what comes out with what it has itself.
What is found is shown for all members at once; the exit code is 6 if there is any.`
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
	if err == nil && !report.OK {
		err = model.Problemf(model.Refused, "%s cannot take over: %d findings", report.Version, findings(report))
	}
	return err
}

func findings(r model.CheckReport) (n int) {
	for _, m := range r.Members {
		n += len(m.Findings)
	}
	return n
}

func checkTable(w io.Writer, raw json.RawMessage) error {
	r, err := decode[model.CheckReport](raw)
	if err != nil {
		return err
	}
	row(w, "version", r.Version)
	row(w, "ok", yes(r.OK))
	row(w, "")
	row(w, "MEMBER", "OK", "REPLAYED", "TOOK", "NOTE")
	for _, m := range r.Members {
		row(w, m.Name, yes(len(m.Findings) == 0), strconv.Itoa(m.Replayed), m.Took, m.Note)
	}
	for _, m := range r.Members {
		for _, f := range m.Findings {
			row(w, "")
			row(w, m.Name+": "+f)
		}
	}
	return nil
}

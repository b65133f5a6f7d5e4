package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/staging/catalog"
)

func planCommand(a *app) *cobra.Command {
	var from catalogFlags
	var to string
	var known []string
	c := leaf("plan", "Show the upgrades that lead from the version that runs to another", 0, 0, nil)
	c.Long = c.Short + `.

The way leads to the version --to, or else to the one that is staged, or else to
the newest stable one of the catalog. It takes the latest patch that is known of
each release line between: of the staged package, of the catalog if --catalog or
THESEUS_CATALOG names one, and of --known. Where none is known it names the line.
Nothing is changed; the exit code is 6 if no way leads there.`
	from.define(c.Flags())
	c.Flags().StringVar(&to, "to", "", "the version to get to")
	c.Flags().StringSliceVar(&known, "known", nil, "a version that there is a package of (repeatable)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			newest, offered, err := from.offer(c, a, to)
			if err != nil {
				return err
			}
			return a.plan(c, api, to, newest, append(known, offered...))
		})
	}
	return c
}

// offer is what the catalog has for a plan, if there is one: its newest stable
// version, and the versions that a way may lead over.
func (f *catalogFlags) offer(c *cobra.Command, a *app, to string) (newest string, versions []string, err error) {
	if first(f.where, a.env("THESEUS_CATALOG"), a.env("RS_CATALOG")) == "" {
		return "", nil, nil
	}
	in, err := f.open(c.Context(), a)
	if err != nil {
		return "", nil, err
	}
	if item, err := in.Find(staging.Product); err == nil {
		newest = item.Version
	}
	return newest, latest(in.Items(), to), nil
}

// latest are the version to and the latest release of each line: all that a way
// leads over. The items come with the newest first.
func latest(items []catalog.Item, to string) (versions []string) {
	seen := map[string]bool{}
	for _, it := range items {
		core, _, _ := strings.Cut(it.Version, "+")
		core, _, pre := strings.Cut(core, "-")
		line, release := core[:strings.LastIndex(core, ".")], !pre
		if it.Version == strings.TrimPrefix(to, "v") || release && !seen[line] {
			versions = append(versions, it.Version)
		}
		seen[line] = seen[line] || release
	}
	return versions
}

// plan asks for the way to a version, to the staged one if none is named, and to
// the newest if nothing is staged.
func (a *app) plan(c *cobra.Command, api *client.Client, to, newest string, known []string) error {
	var raw json.RawMessage
	err := api.Plan(c.Context(), to, known, &raw)
	var refused *model.Error
	if to == "" && newest != "" && errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		err = api.Plan(c.Context(), newest, known, &raw)
	}
	if err != nil {
		return err
	}
	return a.show(c, raw, planTable)
}

func planTable(w io.Writer, raw json.RawMessage) error {
	p, err := decode[model.Plan](raw)
	if err != nil {
		return err
	}
	row(w, "version", p.From+" -> "+p.To)
	for _, f := range p.First {
		row(w, "first", f)
	}
	for _, warning := range p.Warn {
		row(w, "warning", warning)
	}
	if len(p.Hops) == 0 {
		return nil
	}
	row(w, "")
	row(w, "FROM", "TO", "KNOWN", "BACKUP", "REASON")
	for _, h := range p.Hops {
		row(w, h.From, h.To, first(h.Known, "-"), yes(h.Backup), h.Reason)
	}
	return nil
}

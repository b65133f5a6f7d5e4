package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func auditCommand(a *app) *cobra.Command {
	c := leaf("audit", "Show who changed what, and from where, the newest first", 0, 0, nil)
	limit := c.Flags().Int("limit", 100, "how many acts at most, up to 1000")
	before := c.Flags().Uint64("before", 0, "only acts before the one with this index")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *limit < 1 {
			return usage(c, fmt.Errorf("limit %d: want 1 or more", *limit))
		}
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *before > 0 {
			q.Set("before", strconv.FormatUint(*before, 10))
		}
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Read(c.Context(), "audit", q, &raw); err != nil {
				return err
			}
			return a.show(c, raw, actsTable)
		})
	}
	return c
}

func actsTable(w io.Writer, raw json.RawMessage) error {
	acts, err := decode[[]model.Act](raw)
	if err != nil {
		return err
	}
	row(w, "INDEX", "AT", "BY", "FROM", "THROUGH", "WHAT")
	for _, a := range acts {
		row(w, strconv.FormatUint(a.Index, 10), seconds(a.At), a.By, a.From, a.Through, a.What)
	}
	return nil
}

package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
)

func completeCommand(a *app) *cobra.Command {
	c := leaf("complete", "Complete an upgrade that has finished without every member", 0, 0, nil)
	c.Long = c.Short + `.

An upgrade completes by itself once every member runs the new version. A member
that was left out holds that up. Name it with --without, and the cluster version
moves now: what is new opens, the way back closes, and the member follows by
itself when it is back.`
	without := c.Flags().StringSlice("without", nil, "name or id of a member not to wait for (repeatable)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Write(c.Context(), "POST", "system/upgrade/complete", map[string][]string{"without": *without}, &raw); err != nil {
				return err
			}
			return a.show(c, raw, upgradeTable)
		})
	}
	return c
}

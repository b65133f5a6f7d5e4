package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func completeCommand(a *app) *cobra.Command {
	c := leaf("complete", "Complete an upgrade that has finished, and does not do so by itself", 0, 0, nil)
	c.Long = c.Short + `.

An upgrade completes by itself once every member runs the new version. A member
that was left out holds that up. Name it with --without, and the cluster version
moves now: what is new opens, the way back closes, and the member follows by
itself when it is back.

An upgrade whose data was migrated in the background waits for this command. Each
migration looks first whether anything is left to migrate, which may take a while:
then that is migrated, and the upgrade is not completed.`
	wait := maxWait(c.Flags())
	without := c.Flags().StringSlice("without", nil, "name or id of a member not to wait for (repeatable)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			return wait(c, func() error { return a.complete(c, api, *without) })
		})
	}
	return c
}

func (a *app) complete(c *cobra.Command, api *client.Client, without []string) error {
	if checked(c, api) {
		a.tell(nil, "a last check of the data that was migrated comes first, and may take a while")
	}
	var raw json.RawMessage
	if err := api.Complete(c.Context(), without, &raw); err != nil {
		return unlessWaited(c.Context(), err, "it may be completed yet: see theseus system upgrade status")
	}
	return a.show(c, raw, upgradeTable)
}

// checked says whether completing checks data; a server that does not say does not.
func checked(c *cobra.Command, api *client.Client) bool {
	var r model.MigrationReport
	err := api.Progress(c.Context(), &r)
	return err == nil && r.Mode == model.ModeBackground && len(r.Migrations) > 0
}

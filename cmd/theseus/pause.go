package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
)

func pauseCommand(a *app) *cobra.Command {
	c := leaf("pause", "Have nothing new begin: the step under way ends", 0, 0, nil)
	c.Long = c.Short + `.

The member that is out comes back and is done; no other one goes, and deadlines do
not run. Members that are done are not started again by resume.`
	return steering(a, c, (*client.Client).Pause)
}

func resumeCommand(a *app) *cobra.Command {
	return steering(a, leaf("resume", "Go on with what was paused or held", 0, 0, nil), (*client.Client).Resume)
}

// steering is a command that asks for something of the upgrade and shows it.
func steering(a *app, c *cobra.Command, ask func(*client.Client, context.Context) (client.Upgrade, error)) *cobra.Command {
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			u, err := ask(api, c.Context())
			if err != nil {
				return err
			}
			return a.show(c, u.Raw, upgradeTable)
		})
	}
	return c
}

func rollbackCommand(a *app) *cobra.Command {
	c := leaf("rollback", "Take every member back to the version before", 0, 0, nil)
	c.Long = c.Short + `.

Until an upgrade is completed each member keeps the binary that it ran before, with
its capabilities. One after the other goes back to it, with the same care as
forward, whoever leads last. What happens is written until it is over; the exit
code is 0 when every member is back, 8 when one could not go back.`
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error {
				if _, err := api.Rollback(c.Context()); err != nil {
					return err
				}
				return a.followBack(c, api)
			})
		})
	}
	return c
}

// followBack follows a roll-back: that the upgrade has failed is what was wanted.
func (a *app) followBack(c *cobra.Command, api *client.Client) error {
	err := a.follow(c, api, nil)
	var failed *upgradeFailed
	if errors.As(err, &failed) && failed.wentBack() {
		return a.tell(nil, "%s", failed.last.FinalState)
	}
	return err
}

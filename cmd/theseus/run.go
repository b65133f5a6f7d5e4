package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// runFlags are what may be said at the start of a run; a flag that was not given
// leaves it to the server.
func runFlags(f *pflag.FlagSet) func(*cobra.Command) client.RunOptions {
	deadline := f.Duration("deadline", time.Hour, "how long each member may take for its turn")
	probation := f.Duration("probation", 10*time.Second, "how long each member must stay well on the new version")
	exclude := f.StringSlice("exclude", nil, "leave this member out, by name or id (repeatable; empty: none)")
	await := f.Duration("await", 0, "how long members that are down may take to come back before the upgrade fails with nothing changed")
	var o client.RunOptions
	f.StringVar(&o.OnFailure, "on-failure", "halt", "what a member that fails means: halt, or rollback of every member")
	f.StringSliceVar(&o.Ignore, "ignore", nil, "accept this soft finding, by `NAME` (repeatable); system upgrade check shows them")
	f.IntVar(&o.HoldAfter, "hold-after", 0, "pause when so many members are done")
	f.BoolVar(&o.Hold, "hold", false, "wait for an explicit complete at the end; until then the way back stays open")
	f.BoolVar(&o.NoBackup, "no-backup", false, "begin without the backup that is made before a minor or major upgrade")
	f.StringVar(&o.Mode, "mode", model.ModeComplete, "how data is migrated: complete, as part of the upgrade, with the writes of others refused meanwhile; or background, while the cluster serves: that waits for an explicit complete at the end")
	f.Int64Var(&o.Throttle, "throttle", 0, "items that migrations move in a second at most (0: no limit)")
	f.BoolVar(&o.Force, "force", false, "try a build again that failed before")
	return func(c *cobra.Command) client.RunOptions {
		if !c.Flags().Changed("on-failure") {
			o.OnFailure = ""
		}
		if !c.Flags().Changed("mode") {
			o.Mode = ""
		}
		if c.Flags().Changed("await") {
			o.Await = await
		}
		if c.Flags().Changed("deadline") {
			o.Deadline = deadline
		}
		if c.Flags().Changed("probation") {
			o.Probation = probation
		}
		if c.Flags().Changed("exclude") {
			o.Exclude = append([]string{}, *exclude...)
		}
		return o
	}
}

func startCommand(a *app) *cobra.Command {
	c := leaf("start", "Start the upgrade that is staged, or go on with one that failed", 0, 0, nil)
	c.Long = c.Short + `.

With --at it starts then: the member that leads at that time starts it. With
--window members go only while it is open; when it closes, the member that is
out is finished with, and the next one goes when it opens again. What is
scheduled is seen by status and taken back by cancel.`
	run := runFlags(c.Flags())
	at := c.Flags().String("at", "", `when to start: 22:00 (the next), "2026-11-21 22:00" or RFC 3339`)
	wait := maxWait(c.Flags())
	window := c.Flags().String("window", "", `when members may go: "22:00-04:00", "Mon-Fri 22:00-04:00 Europe/Berlin"; several with ;`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		o := run(c)
		if err := schedule(&o, *at, *window, time.Now(), ownZone); err != nil {
			return usage(c, err)
		}
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.start(c, api, o) })
		})
	}
	return c
}

func (a *app) start(c *cobra.Command, api *client.Client, o client.RunOptions) error {
	u, err := api.Start(c.Context(), o)
	if err != nil {
		return unlessWaited(c.Context(), err, "it may have been started: see theseus system upgrade status")
	}
	return a.show(c, u.Raw, upgradeTable)
}

// schedule puts the flags that say when into o; "" says nothing.
func schedule(o *client.RunOptions, at, window string, now time.Time, zone func() (string, bool)) error {
	if at != "" {
		t, err := parseAt(at, now)
		if err != nil {
			return err
		}
		o.At = &t
	}
	if window != "" {
		full, err := inZone(window, zone)
		if err != nil {
			return err
		}
		o.Window = &full
	}
	return nil
}

// parseAt reads a time; one without a zone is in that of now.
func parseAt(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation("2006-01-02 15:04", text, now.Location()); err == nil {
		return t, nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return now, fmt.Errorf("at %q: want 22:00, 2026-11-21 22:00 or 2026-11-21T22:00:00+01:00", text)
	}
	today := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if today.After(now) {
		return today, nil
	}
	return time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(), 0, 0, now.Location()), nil
}

func cancelCommand(a *app) *cobra.Command {
	return leaf("cancel", "Take back a start that was scheduled; what is staged stays so", 0, 0, func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			return a.tell(api.Cancel(c.Context()), "cancelled: nothing starts by itself")
		})
	})
}

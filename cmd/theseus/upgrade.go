package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func upgradeCommand(a *app) *cobra.Command {
	c := group("upgrade FILE", "Upgrade the cluster: stage the archive, start, follow to the end",
		stageCommand(a), startCommand(a), statusCommand(a), upgradeProgressCommand(a), whyCommand(a), planCommand(a), checkCommand(a), verifyUpgradeCommand(a), pauseCommand(a), resumeCommand(a),
		rollbackCommand(a), completeCommand(a),
		cancelCommand(a), unstageCommand(a), historyCommand(a))
	c.Long = c.Short + `.

An archive that is staged already is not a fault: the upgrade goes on with it,
after a failure too, and follows it if it is under way. What happens is written
line by line as it happens; with -o json or yaml the lines go to stderr and the
last state to stdout. A server that upgrades itself alone, in one step, is
handed the archive and followed until it runs another version.

Without a FILE, on a terminal, what is missing is asked for: a member that can be
reached, a login, the archive. The plan is shown and what a trial run on every
member finds; then there is one question, and nothing starts without a yes.
` + fileHelp
	run, wait := runFlags(c.Flags()), maxWait(c.Flags())
	var guided guideFlags
	guided.define(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return wait(c, func() error { return (&guide{a, guided, c, run(c)}).run() })
		}
		if len(args) > 1 {
			return usage(c, fmt.Errorf("want one FILE or a command"))
		}
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.upgrade(c, api, args[0], run(c)) })
		})
	}
	return c
}

// upgrade is all of it in one go, by the way that the server has.
func (a *app) upgrade(c *cobra.Command, api *client.Client, file string, o client.RunOptions) error {
	var info model.Info
	if _, err := api.Read(c.Context(), "info", nil, &info); err != nil {
		return err
	}
	in, err := a.open(c, file)
	if err != nil {
		return err
	}
	defer in.Close()
	return a.handOver(c, api, in, info, o)
}

// handOver upgrades to an archive by the way that the server has.
func (a *app) handOver(c *cobra.Command, api *client.Client, in *archive, info model.Info, o client.RunOptions) error {
	switch {
	case slices.Contains(info.Features, "two-phase-rolling-upgrades"):
		return a.rolling(c, api, in, o)
	case slices.Contains(info.Features, "inline-upgrade"):
		return a.inline(c, api, in, info.Version)
	}
	return fmt.Errorf("%s can't be upgraded by itself: it has neither of the features two-phase-rolling-upgrades and inline-upgrade", api.Endpoint())
}

// rolling stages the archive unless the cluster has it, starts it unless it is
// under way, and follows it to its end.
func (a *app) rolling(c *cobra.Command, api *client.Client, in *archive, o client.RunOptions) error {
	u, known, err := standing(c.Context(), api, in.digest)
	if err != nil {
		return err
	}
	if !known {
		blob, created, err := a.stage(c, api, in, o.Exclude)
		if err != nil {
			return err
		}
		if !created { // only the upload told which archive it is
			if u, _, err = standing(c.Context(), api, strings.TrimPrefix(blob.Path, "sha256:")); err != nil {
				return err
			}
		}
	}
	if u.Status != "working" && u.Status != "finished" {
		if _, err := api.Start(c.Context(), o); err != nil {
			return err
		}
	}
	return a.follow(c, api, held(o))
}

// standing is the upgrade on record if it is one to the archive of digest.
func standing(ctx context.Context, api *client.Client, digest string) (u client.Upgrade, known bool, err error) {
	if digest == "" {
		return u, false, nil
	}
	u, err = api.Upgrade(ctx, true)
	var refused *model.Error
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return client.Upgrade{}, false, nil
	}
	if err != nil || u.Archive != "sha256:"+digest {
		return client.Upgrade{}, false, err
	}
	return u, true, nil
}

func statusCommand(a *app) *cobra.Command {
	c := leaf("status", "Show the upgrade", 0, 0, nil)
	follow := c.Flags().Bool("follow", false, "write what happens until it is over")
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !*follow {
			return a.read(c, upgradeTable, "system/upgrade/status")
		}
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.follow(c, api, nil) })
		})
	}
	return c
}

func unstageCommand(a *app) *cobra.Command {
	return leaf("unstage", "End the upgrade after the step under way and clear it away", 0, 0, func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			pending, err := api.Unstage(c.Context())
			if pending {
				return a.tell(err, "stopping: the step under way ends first, then all of it is cleared away")
			}
			return a.tell(err, "cleared away")
		})
	})
}

// upgradeTable shows an upgrade to a person.
func upgradeTable(w io.Writer, raw json.RawMessage) error {
	profile, err := decode[struct{ Params client.Upgrade }](raw)
	if err != nil {
		return err
	}
	u := profile.Params
	row(w, "status", u.Status)
	row(w, "version", u.From+" -> "+u.To)
	row(w, "progress", strconv.Itoa(u.Progress)+" %")
	row(w, "completed", yes(u.Completed))
	if moving(u) {
		row(w, "data", strings.TrimPrefix(dataLine(*u.Migration), "data: "))
	}
	if u.Paused != nil {
		row(w, "paused", "by "+u.Paused.By)
	}
	optional(w, "roll-back", u.RollBack)
	optional(w, "working on", u.WorkingNode)
	optional(w, "doing", u.WorkingState)
	if u.WaitingFor != nil {
		optional(w, "waiting for", u.WaitingFor.What)
		optional(w, "since", u.WaitingFor.Since)
		optional(w, "until", u.WaitingFor.Until)
		optional(w, "you may", strings.Join(u.WaitingFor.Choices, "; "))
	}
	for _, issue := range u.Issues {
		row(w, "issue", issue)
	}
	optional(w, "ended", u.FinalState)
	row(w, "")
	nodeTable(w, u.Nodes)
	return nil
}

func optional(w io.Writer, name, text string) {
	if text != "" {
		row(w, name, text)
	}
}

func nodeTable(w io.Writer, nodes []client.Node) {
	row(w, "MEMBER", "STEP", "VERSION", "IMAGE", "ATTEMPT", "API", "REASON")
	for _, n := range nodes {
		row(w, n.Name, n.Step, n.Version, short(n.Image), strconv.Itoa(n.Attempt), n.API, n.Reason)
	}
}

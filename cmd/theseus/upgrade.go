package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func upgradeCommand(a *app) *cobra.Command {
	c := group("upgrade FILE", "Upgrade the cluster: stage the archive, start, follow to the end",
		stageCommand(a), startCommand(a), statusCommand(a), unstageCommand(a))
	c.Long = c.Short + `.

An archive that is staged already is not a fault: the upgrade goes on with it,
after a failure too. What happens is written line by line as it happens; with
-o json or yaml the lines go to stderr and the last state to stdout.
FILE may be - for stdin.`
	run := runFlags(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(c, fmt.Errorf("want one FILE or a command"))
		}
		return a.with(c, func(api *client.Client) error { return a.upgrade(c, api, args[0], run(c)) })
	}
	return c
}

// upgrade is all of it in one go.
func (a *app) upgrade(c *cobra.Command, api *client.Client, file string, o client.RunOptions) error {
	if _, err := a.stage(c, api, file); err != nil {
		return err
	}
	if _, err := api.Start(c.Context(), o); err != nil {
		return err
	}
	return a.follow(c, api)
}

// runFlags are what may be said at the start of a run; a flag that was not given
// leaves it to the server.
func runFlags(f *pflag.FlagSet) func(*cobra.Command) client.RunOptions {
	deadline := f.Duration("deadline", time.Hour, "how long each member may take for its turn")
	probation := f.Duration("probation", 10*time.Second, "how long each member must stay well on the new version")
	return func(c *cobra.Command) (o client.RunOptions) {
		if c.Flags().Changed("deadline") {
			o.Deadline = deadline
		}
		if c.Flags().Changed("probation") {
			o.Probation = probation
		}
		return o
	}
}

func stageCommand(a *app) *cobra.Command {
	return leaf("stage FILE", "Put an upgrade archive on every member (- reads it from stdin)", 1, 1, func(c *cobra.Command, args []string) error {
		return a.with(c, func(api *client.Client) error {
			blob, err := a.stage(c, api, args[0])
			if err != nil {
				return err
			}
			raw, err := json.Marshal(blob)
			if err != nil {
				return err
			}
			return a.show(c, raw, fields)
		})
	})
}

// stage uploads file and says how far it is.
func (a *app) stage(c *cobra.Command, api *client.Client, file string) (model.BlobInfo, error) {
	body, size, err := a.open(file)
	if err != nil {
		return model.BlobInfo{}, err
	}
	defer body.Close()
	p := &progress{from: body, size: size, to: a.stderr, redraw: a.errTerminal, then: "every member checks its copy"}
	blob, created, err := api.Stage(c.Context(), p, size)
	p.end()
	if err != nil {
		return blob, err
	}
	if !created {
		return blob, a.tell(nil, "this archive is staged already")
	}
	return blob, a.tell(nil, "staged on every member")
}

// open opens file; its size is -1 when only reading it tells.
func (a *app) open(file string) (io.ReadCloser, int64, error) {
	if file == "-" {
		return io.NopCloser(a.stdin), -1, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("open %s: it is a directory", file)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}

func startCommand(a *app) *cobra.Command {
	c := leaf("start", "Start the upgrade that is staged, or go on with one that failed", 0, 0, nil)
	run := runFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			u, err := api.Start(c.Context(), run(c))
			if err != nil {
				return err
			}
			return a.show(c, u.Raw, upgradeTable)
		})
	}
	return c
}

func statusCommand(a *app) *cobra.Command {
	c := leaf("status", "Show the upgrade", 0, 0, nil)
	follow := c.Flags().Bool("follow", false, "write what happens until it is over")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !*follow {
			return a.read(c, upgradeTable, "system/upgrade/status")
		}
		return a.with(c, func(api *client.Client) error { return a.follow(c, api) })
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
	optional(w, "working on", u.WorkingNode)
	optional(w, "doing", u.WorkingState)
	if u.WaitingFor != nil {
		optional(w, "waiting for", u.WaitingFor.What)
		optional(w, "since", u.WaitingFor.Since)
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

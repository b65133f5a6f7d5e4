package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func systemCommand(a *app) *cobra.Command {
	return group("system", "The cluster as a whole", upgradeCommand(a), haCommand(a))
}

func infoCommand(a *app) *cobra.Command {
	return group("info", "The member that answers", a.reader("get", "Show what the member says of itself", fields, "info"))
}

func haCommand(a *app) *cobra.Command {
	return group("ha", "The members of the cluster and who leads",
		a.reader("state", "Show the member's own place in the cluster", fields, "system/consensus/state"),
		a.reader("peers", "Show every member", peers, "system/consensus/peers"),
		a.reader("leader", "Show the id of the member that leads", value, "system/consensus/leader"),
		a.reader("active", "Show the id of the member that is active", value, "system/consensus/active"),
		a.reader("id", "Show the id of the member that answers", value, "system/consensus/id"),
		a.reader("dump", "Show the member's own place in the cluster, and every member", fields, "system/consensus/fullstate"),
		failOverSafeCommand(a), joinTokenCommand(a), removeCommand(a), transferCommand(a))
}

// reader is a command without arguments that shows what is at path.
func (a *app) reader(name, short string, t table, path string) *cobra.Command {
	return leaf(name, short, 0, 0, func(c *cobra.Command, _ []string) error { return a.read(c, t, path) })
}

// read shows what is at path.
func (a *app) read(c *cobra.Command, t table, path string) error {
	return a.with(c, func(api *client.Client) error {
		var raw json.RawMessage
		if _, err := api.Read(c.Context(), path, nil, &raw); err != nil {
			return err
		}
		return a.show(c, raw, t)
	})
}

// with hands a client to do, once the flags are known to be good.
func (a *app) with(c *cobra.Command, do func(*client.Client) error) error {
	if _, err := a.format(c); err != nil {
		return err
	}
	api, err := a.dial(c.Context())
	if err != nil {
		return err
	}
	defer api.Close()
	return do(api)
}

func peers(w io.Writer, raw json.RawMessage) error {
	all, err := decode[[]model.Peer](raw)
	if err != nil {
		return err
	}
	row(w, "NAME", "ID", "API", "VERSION", "IMAGE", "VOTER", "LEADER", "APPLIED", "OFFLINE")
	for _, p := range all {
		row(w, p.Name, p.ConsensusID, p.ApiUrl, p.Version, short(p.Image), yes(p.Voter), yes(p.Leader),
			strconv.FormatUint(p.Applied, 10), yes(p.Offline))
	}
	return nil
}

// short is enough of an image's digest to tell two of them apart.
func short(image string) string {
	digest := strings.TrimPrefix(image, "sha256:")
	return digest[:min(12, len(digest))]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func failOverSafeCommand(a *app) *cobra.Command {
	c := leaf("failOverSafe [DURATION]", "Say whether the cluster would go on at once without its leader", 0, 1, nil)
	c.Long = c.Short + ".\n\nDURATION, from 50ms to 5s, is how long another voter may take to catch up. Prints true or false."
	c.RunE = func(c *cobra.Command, args []string) error {
		path := "system/consensus/failOverSafe"
		if len(args) > 0 {
			path += "?waitFor=" + url.QueryEscape(args[0])
		}
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Write(c.Context(), "POST", path, nil, &raw); err != nil {
				return err
			}
			return a.show(c, raw, value)
		})
	}
	return c
}

func joinTokenCommand(a *app) *cobra.Command {
	c := leaf("join-token", "Make a token that lets a new member join, and print it", 0, 0, nil)
	c.Long = c.Short + ".\n\nThe token stands alone on stdout; -o json or yaml says when it expires besides."
	ttl := c.Flags().Duration("ttl", time.Hour, "how long the token is good for")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *ttl <= 0 {
			return usage(c, fmt.Errorf("ttl %s: want more than 0", *ttl))
		}
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Write(c.Context(), "POST", "system/consensus/tokens", map[string]string{"ttl": ttl.String()}, &raw); err != nil {
				return err
			}
			return a.showToken(c, raw)
		})
	}
	return c
}

// showToken keeps to the token unless a format was asked for by name.
func (a *app) showToken(c *cobra.Command, raw json.RawMessage) error {
	if a.flags.output != "" && a.flags.output != "table" {
		return a.show(c, raw, fields)
	}
	made, err := decode[struct{ Token string }](raw)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, printable(made.Token))
	return err
}

func removeCommand(a *app) *cobra.Command {
	return leaf("remove ID", "Remove a member from the cluster", 1, 1, func(c *cobra.Command, args []string) error {
		return a.with(c, func(api *client.Client) error {
			_, err := api.Write(c.Context(), "DELETE", client.Path("system", "consensus", "node", args[0]), nil, nil)
			return a.tell(err, "removed %s", args[0])
		})
	})
}

func transferCommand(a *app) *cobra.Command {
	return leaf("transfer [ID]", "Hand leadership over, to any member or to the one named", 0, 1, func(c *cobra.Command, args []string) error {
		to := strings.Join(args, "")
		return a.with(c, func(api *client.Client) error {
			_, err := api.Write(c.Context(), "POST", "system/consensus/transfer", map[string]string{"to": to}, nil)
			return a.tell(err, "leadership is being handed over; theseus system ha leader shows to whom")
		})
	})
}

// tell writes a message to stderr unless err says that it is not true.
func (a *app) tell(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintln(a.stderr, printable(fmt.Sprintf(format, args...)))
	}
	return err
}

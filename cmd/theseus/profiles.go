package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// profilesCommand takes arguments in the shapes of Digital Rebar's client.
func profilesCommand(a *app) *cobra.Command {
	return group("profiles", "Named sets of parameters",
		a.reader("list", "Show every profile", profileList, "profiles"),
		leaf("show NAME", "Show a profile", 1, 1, func(c *cobra.Command, args []string) error {
			return a.read(c, fields, client.Path("profiles", args[0]))
		}),
		leaf("create JSON|NAME|-", "Create a profile of JSON (- reads it from stdin), or an empty one", 1, 1, a.createProfile),
		leaf("set NAME param KEY to VALUE", "Set a param; VALUE is JSON, or else text", 5, 5, a.setParam),
		leaf("get NAME param KEY", "Show a param; null when it is not set", 3, 3, func(c *cobra.Command, args []string) error {
			if err := word(c, args, 1, "param"); err != nil {
				return err
			}
			return a.read(c, value, client.ParamPath(args[0], args[2]))
		}),
		leaf("params NAME [JSON]", "Show all params, or replace them (- reads JSON from stdin)", 1, 2, a.params),
		leaf("destroy NAME", "Delete a profile", 1, 1, func(c *cobra.Command, args []string) error {
			return a.with(c, func(api *client.Client) error {
				_, err := api.Write(c.Context(), "DELETE", client.Path("profiles", args[0]), nil, nil)
				return a.tell(err, "deleted profile %s", args[0])
			})
		}))
}

// word checks the fixed word at place i.
func word(c *cobra.Command, args []string, i int, want string) error {
	if args[i] != want {
		return usage(c, fmt.Errorf("%q: want the word %s; %s", args[i], want, c.UseLine()))
	}
	return nil
}

func (a *app) createProfile(c *cobra.Command, args []string) error {
	body := json.RawMessage(args[0])
	if args[0] != "-" && !strings.HasPrefix(strings.TrimSpace(args[0]), "{") {
		body, _ = json.Marshal(map[string]string{"Name": args[0]}) // strings always marshal
	}
	return a.writeProfile(c, client.Path("profiles"), body)
}

func (a *app) setParam(c *cobra.Command, args []string) error {
	if err := word(c, args, 1, "param"); err != nil {
		return err
	}
	if err := word(c, args, 3, "to"); err != nil {
		return err
	}
	body := json.RawMessage(args[4])
	if args[4] != "-" && !json.Valid(body) {
		body, _ = json.Marshal(args[4]) // strings always marshal
	}
	return a.send(c, client.ParamPath(args[0], args[2]), body, value)
}

func (a *app) params(c *cobra.Command, args []string) error {
	path := client.Path("profiles", args[0], "params")
	if len(args) == 1 {
		return a.read(c, fields, path)
	}
	return a.writeProfile(c, path, json.RawMessage(args[1]))
}

func (a *app) writeProfile(c *cobra.Command, path string, body json.RawMessage) error {
	return a.send(c, path, body, fields)
}

// send posts body, which "-" takes from stdin, and shows the answer.
func (a *app) send(c *cobra.Command, path string, body json.RawMessage, t table) error {
	if string(body) == "-" {
		var err error
		if body, err = io.ReadAll(a.stdin); err != nil {
			return fmt.Errorf("read stdin: %w", err)
		}
	}
	if !json.Valid(body) {
		return usage(c, fmt.Errorf("%q is not JSON", body))
	}
	return a.with(c, func(api *client.Client) error {
		var raw json.RawMessage
		if _, err := api.Write(c.Context(), "POST", path, body, &raw); err != nil {
			return err
		}
		return a.show(c, raw, t)
	})
}

func profileList(w io.Writer, raw json.RawMessage) error {
	all, err := decode[[]model.Profile](raw)
	if err != nil {
		return err
	}
	row(w, "NAME", "PARAMS", "READ-ONLY", "DESCRIPTION")
	for _, p := range all {
		row(w, p.Name, strconv.Itoa(len(p.Params)), yes(p.ReadOnly), p.Description)
	}
	return nil
}

package main

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
)

func historyCommand(a *app) *cobra.Command {
	return leaf("history [ID]", "Show the upgrades that have ended, or all of the one named", 0, 1, func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return a.read(c, historyTable, "system/upgrade/history")
		}
		return a.read(c, pastTable, client.Path("system", "upgrade", "history", args[0]))
	})
}

// past is an upgrade that has ended, as the tables show it.
type past struct {
	ID, From, To, Status, By, Started, Ended, Took string

	Final      string `json:"final-state"`
	Completed  bool
	Runs       int
	Transcript []string
	Members    []struct {
		Name, From, Step, Reason, Claimed, Out string
		Attempts                               int
	}
}

func historyTable(w io.Writer, raw json.RawMessage) error {
	all, err := decode[[]past](raw)
	if err != nil {
		return err
	}
	row(w, "ID", "FROM", "TO", "STATUS", "STARTED", "TOOK", "BY", "ENDED BECAUSE")
	for _, p := range all {
		row(w, p.ID, p.From, p.To, p.Status, seconds(p.Started), p.Took, p.By, p.Final)
	}
	return nil
}

func pastTable(w io.Writer, raw json.RawMessage) error {
	p, err := decode[past](raw)
	if err != nil {
		return err
	}
	row(w, "id", p.ID)
	row(w, "version", p.From+" -> "+p.To)
	row(w, "status", p.Status)
	row(w, "ended because", p.Final)
	row(w, "completed", yes(p.Completed))
	row(w, "staged by", p.By)
	row(w, "started", seconds(p.Started))
	row(w, "ended", seconds(p.Ended))
	row(w, "took", p.Took)
	row(w, "runs", strconv.Itoa(p.Runs))
	row(w, "")
	row(w, "MEMBER", "STEP", "FROM", "ATTEMPTS", "CLAIMED", "OUT FOR", "REASON")
	for _, m := range p.Members {
		row(w, m.Name, m.Step, m.From, strconv.Itoa(m.Attempts), seconds(m.Claimed), m.Out, m.Reason)
	}
	row(w, "")
	for _, line := range p.Transcript {
		row(w, line)
	}
	return nil
}

// seconds is a stamp without what is finer.
func seconds(stamp string) string {
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return stamp
	}
	return t.UTC().Format(time.RFC3339)
}

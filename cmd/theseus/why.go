package main

import (
	"encoding/json"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
)

func whyCommand(a *app) *cobra.Command {
	c := leaf("why", "Say what the upgrade waits for, until when, and what you may do", 0, 0, nil)
	c.RunE = func(c *cobra.Command, _ []string) error { return a.read(c, whyTable, "system/upgrade/status") }
	return c
}

// linesOfWhy is how much of the transcript is told with a reason.
const linesOfWhy = 5

// whyTable answers the question of somebody who looks at an upgrade that does
// not seem to go on.
func whyTable(w io.Writer, raw json.RawMessage) error {
	profile, err := decode[struct{ Params client.Upgrade }](raw)
	if err != nil {
		return err
	}
	u := profile.Params
	row(w, "status", u.Status)
	optional(w, "doing", u.WorkingState)
	if u.WaitingFor == nil {
		row(w, "waiting for", "nothing: it is over")
	} else {
		row(w, "waiting for", u.WaitingFor.What)
		row(w, "since", moment(u.WaitingFor.Since))
		if u.WaitingFor.Until != "" {
			row(w, "until", moment(u.WaitingFor.Until)+"; then "+u.WaitingFor.Then)
		}
		for _, choice := range u.WaitingFor.Choices {
			row(w, "you may", choice)
		}
	}
	optional(w, "ended", u.FinalState)
	for _, issue := range u.Issues {
		row(w, "issue", issue)
	}
	for _, line := range u.Transcript[max(0, len(u.Transcript)-linesOfWhy):] {
		row(w, "last", line)
	}
	return nil
}

// moment is a time with how far it is from now.
func moment(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	if d := time.Until(t).Round(time.Second); d > 0 {
		return text + " (in " + d.String() + ")"
	}
	return text + " (" + time.Since(t).Round(time.Second).String() + " ago)"
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// Where the data of an upgrade stands, as far as following it goes.
const (
	dataRunning = "running"
	dataFailed  = "failed"
)

func upgradeProgressCommand(a *app) *cobra.Command {
	c := leaf("progress", "Show how far the data of the upgrade is", 0, 0, nil)
	c.Long = c.Short + `.

A package may bring migrations, which move data to the form of the new version.
With --follow a line is written when a migration is a hundredth further, and what
to do when it is paused or waits for a person; it ends when the data is migrated,
or with exit code 1 when a migration has failed too often to go on by itself.`
	follow := c.Flags().Bool("follow", false, "write how far it is until the data is migrated")
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !*follow {
			return a.read(c, progressTable, "system/upgrade/progress")
		}
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.followData(c, api) })
		})
	}
	return c
}

// dataEvery is how often the data is looked at while it is followed: a look goes
// through the restart of a member.
const dataEvery = 500 * time.Millisecond

// followData writes how far the data is until it is migrated, or waits for a
// person to try a migration again.
func (a *app) followData(c *cobra.Command, api *client.Client) error {
	lines := a.stdout
	if a.flags.output == "json" || a.flags.output == "yaml" {
		lines = a.stderr // stdout is for the last state alone
	}
	m := meter{}
	for {
		var raw json.RawMessage
		if err := api.Progress(c.Context(), &raw); err != nil {
			return unlessWaited(c.Context(), err, "the migration goes on; see it with theseus system upgrade progress --follow")
		}
		r, err := decode[model.MigrationReport](raw)
		if err != nil {
			return err
		}
		if line := m.line(r); line != "" {
			fmt.Fprintln(lines, printable(line))
		}
		if err, over := dataEnd(r); over {
			if lines != a.stdout {
				err = errors.Join(a.show(c, raw, progressTable), err)
			}
			return err
		}
		select {
		case <-c.Context().Done():
			return unlessWaited(c.Context(), c.Context().Err(), "the migration goes on; see it with theseus system upgrade progress --follow")
		case <-time.After(dataEvery):
		}
	}
}

// dataEnd says whether nothing more happens to the data by itself.
func dataEnd(r model.MigrationReport) (err error, over bool) {
	switch r.State {
	case "none", "done", "completed":
		return nil, true
	case dataFailed:
		return &migrationFailed{r}, true
	}
	return nil, false
}

// migrationFailed is a migration that does not go on before a person says so.
type migrationFailed struct{ report model.MigrationReport }

func (e *migrationFailed) Error() string { return e.report.What }

// meter says how far data is without a flood: when the state changes, and when
// another hundredth is done, at most with every meterLooks looks.
type meter struct {
	state   string // as told last
	percent int
	rest    int // looks to pass over
}

// meterLooks are about three seconds.
const meterLooks = 6

// line is what is to be told now, or "".
func (m *meter) line(r model.MigrationReport) string {
	m.rest--
	state := r.State
	if state == dataRunning {
		state += " " + atWork(r).Name
	} else {
		state += " " + r.What
	}
	if state == m.state && (r.Percent == m.percent || m.rest > 0) {
		return ""
	}
	m.state, m.percent, m.rest = state, r.Percent, meterLooks
	return dataLine(r)
}

// dataLine is one line on how far data is.
func dataLine(r model.MigrationReport) string {
	if r.State != dataRunning {
		return "data: " + r.What
	}
	m := atWork(r)
	line := fmt.Sprintf("data: %s: %s", m.Name, counts(m.MigrationCount))
	if m.Total > 0 {
		line += fmt.Sprintf(", %d %%", m.Percent)
	}
	if m.Rate > 0 {
		line += ", " + rate(m.Rate)
	}
	if m.ETA >= 0 {
		line += ", " + left(m.ETA) + " left"
	}
	return line
}

// atWork is the migration that runs.
func atWork(r model.MigrationReport) (m model.MigrationProgress) {
	if i := slices.IndexFunc(r.Migrations, func(m model.MigrationProgress) bool { return m.State == dataRunning }); i >= 0 {
		return r.Migrations[i]
	}
	return m
}

// moving says whether there is something to tell of an upgrade's data.
func moving(u client.Upgrade) bool {
	if u.Migration == nil {
		return false
	}
	switch u.Migration.State {
	case dataRunning, "paused", dataFailed:
		return true
	}
	return false
}

// progressTable shows how far data is to a person.
func progressTable(w io.Writer, raw json.RawMessage) error {
	r, err := decode[model.MigrationReport](raw)
	if err != nil {
		return err
	}
	optional(w, "version", r.Version)
	optional(w, "mode", r.Mode)
	row(w, "state", r.State)
	row(w, "what", r.What)
	if len(r.Migrations) == 0 {
		return nil
	}
	row(w, "done", strconv.Itoa(r.Percent)+" %")
	row(w, "")
	row(w, "MIGRATION", "PHASE", "STATE", "DONE", "PERCENT", "RATE", "LEFT", "FAILED", "JOB", "ERROR")
	for _, m := range r.Migrations {
		row(w, m.Name, string(m.Phase), m.State, counts(m.MigrationCount), strconv.Itoa(m.Percent)+" %", rate(m.Rate), left(m.ETA),
			strconv.Itoa(m.Attempts), m.Job, m.Error)
	}
	return nil
}

func counts(c model.MigrationCount) string {
	if c.Total == 0 {
		return strconv.FormatInt(c.Done, 10)
	}
	return fmt.Sprintf("%d of %d", c.Done, c.Total)
}

func rate(perSecond float64) string {
	if perSecond == 0 {
		return ""
	}
	return strconv.FormatFloat(perSecond, 'f', 0, 64) + "/s"
}

// left is a time in seconds with its two largest units, as people say it; -1 is
// not known.
func left(seconds int64) string {
	if seconds < 0 {
		return ""
	}
	var said []string
	for _, unit := range []struct {
		name string
		size int64
	}{{"d", 24 * 3600}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := seconds / unit.size; n > 0 || len(said) > 0 {
			said = append(said, strconv.FormatInt(n, 10)+unit.name)
		}
		seconds %= unit.size
	}
	if len(said) == 0 {
		return "0s"
	}
	return strings.Join(said[:min(2, len(said))], " ")
}

// inBackground is what is to be done about data that migrates when its upgrade has
// finished, or waits for a person to complete it; "" is nothing.
func inBackground(u client.Upgrade) string {
	if u.Completed || u.Migration == nil || u.Migration.Mode != model.ModeBackground {
		return ""
	}
	switch u.Migration.State {
	case "done":
		return "the data is migrated: theseus system upgrade complete checks that and completes the upgrade"
	case dataFailed:
		return "data: " + u.Migration.What
	}
	return fmt.Sprintf("the data migrates in the background, %d %% is done: theseus system upgrade progress --follow; "+
		"then theseus system upgrade complete", u.Migration.Percent)
}

// waitsForRetry says whether an upgrade does not go on before a person has a
// migration tried again.
func waitsForRetry(u client.Upgrade) bool {
	return u.Status == "working" && u.Migration != nil && u.Migration.State == dataFailed
}

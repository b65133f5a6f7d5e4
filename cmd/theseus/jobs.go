package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

func jobsCommand(a *app) *cobra.Command {
	return group("jobs", "Work that the cluster does once, whoever leads",
		a.reader("list", "Show the jobs on record, the newest first", jobsTable, "jobs"),
		leaf("show ID", "Show one job", 1, 1, func(c *cobra.Command, args []string) error {
			return a.read(c, jobTable, client.Path("jobs", args[0]))
		}),
		jobLogCommand(a), jobRunCommand(a),
		jobSteerCommand(a, "pause", "Have a migration pause at its next checkpoint"),
		jobSteerCommand(a, "resume", "Go on with a migration that was paused"),
		jobPaceCommand(a),
		leaf("cancel ID", "Cancel a job for good; what it did stays done", 1, 1, func(c *cobra.Command, args []string) error {
			return a.with(c, func(api *client.Client) error {
				_, err := api.Write(c.Context(), "DELETE", client.Path("jobs", args[0]), nil, nil)
				return a.tell(err, "canceled %s", args[0])
			})
		}))
}

func jobLogCommand(a *app) *cobra.Command {
	c := leaf("log ID", "Print the last lines of a job's log", 1, 1, nil)
	follow := c.Flags().BoolP("follow", "f", false, "go on with what comes, until the job ends or waits for a person")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.with(c, func(api *client.Client) error { return a.jobLog(c, api, args[0], *follow) })
	}
	return c
}

func jobRunCommand(a *app) *cobra.Command {
	c := leaf("run ACTION", "Have an action done, or tried again after its attempts were used up", 1, 1, nil)
	c.Long = c.Short + ".\n\nIt goes on from the last checkpoint of a job that failed; otherwise a new job is made."
	follow := c.Flags().BoolP("follow", "f", false, "print its log until it ends or waits for a person")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Write(c.Context(), "POST", "jobs", map[string]string{"action": args[0]}, &raw); err != nil {
				return err
			}
			if !*follow {
				return a.show(c, raw, jobTable)
			}
			j, err := decode[model.Job](raw)
			if err != nil {
				return err
			}
			return a.jobLog(c, api, j.ID, true)
		})
	}
	return c
}

// jobSteerCommand is one of the words that a migration at work takes.
func jobSteerCommand(a *app, how, short string) *cobra.Command {
	return leaf(how+" ID", short, 1, 1, func(c *cobra.Command, args []string) error {
		return a.steerJob(c, args[0], how, nil)
	})
}

func jobPaceCommand(a *app) *cobra.Command {
	c := leaf("pace ID", "Change how fast a migration goes", 1, 1, nil)
	rate := c.Flags().Int64("rate", 0, "items that it moves in a second at most (0: no limit)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *rate < 0 {
			return usage(c, fmt.Errorf("rate %d: want 0 or more", *rate))
		}
		return a.steerJob(c, args[0], "pace", map[string]int64{"rate": *rate})
	}
	return c
}

func (a *app) steerJob(c *cobra.Command, id, how string, body any) error {
	return a.with(c, func(api *client.Client) error {
		var raw json.RawMessage
		if _, err := api.Write(c.Context(), "POST", client.Path("jobs", id, how), body, &raw); err != nil {
			return err
		}
		return a.show(c, raw, jobTable)
	})
}

// jobLogEvery is how often the record of a job is read while it is followed: a
// look goes through the restart of a member, a stream ends with it.
const jobLogEvery = 500 * time.Millisecond

// jobLog prints a job's log; followed to its end, a job that failed is an error.
func (a *app) jobLog(c *cobra.Command, api *client.Client, id string, follow bool) error {
	last := ""
	for {
		var j model.Job
		if _, err := api.Read(c.Context(), client.Path("jobs", id), nil, &j); err != nil {
			return err
		}
		for _, line := range behind(j.Log, last) {
			fmt.Fprintln(a.stdout, printable(line))
			last = line
		}
		switch {
		case !follow || j.State == model.JobDone:
			return nil
		case j.State == model.JobFailed:
			return fmt.Errorf("%s failed %d times and waits for a person: %s; theseus jobs run %s tries it again", j.Action, j.Failures, j.Error, j.Action)
		case j.State == model.JobCanceled:
			return fmt.Errorf("%s was canceled", j.Action)
		}
		select {
		case <-c.Context().Done():
			return c.Context().Err()
		case <-time.After(jobLogEvery):
		}
	}
}

// behind are the lines behind the one that was printed last; each has its time.
func behind(lines []string, last string) []string {
	for i := len(lines) - 1; i >= 0 && last != ""; i-- {
		if lines[i] == last {
			return lines[i+1:]
		}
	}
	return lines
}

func jobsTable(w io.Writer, raw json.RawMessage) error {
	all, err := decode[[]model.Job](raw)
	if err != nil {
		return err
	}
	row(w, "ID", "ACTION", "STATE", "DONE", "FAILED", "MADE", "ENDED", "BY", "ERROR")
	for _, j := range all {
		row(w, j.ID, j.Action, string(j.State), share(j), strconv.Itoa(j.Attempts), seconds(j.Made), seconds(j.Ended), j.By, j.Error)
	}
	return nil
}

// share is how much of a job is done.
func share(j model.Job) string {
	if j.Total == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", j.Done, j.Total)
}

func jobTable(w io.Writer, raw json.RawMessage) error {
	j, err := decode[model.Job](raw)
	if err != nil {
		return err
	}
	row(w, "id", j.ID)
	row(w, "action", j.Action)
	row(w, "state", string(j.State))
	row(w, "reason", j.Reason)
	row(w, "done", share(j))
	row(w, "checkpoint", j.Checkpoint)
	if m := j.Migration; m != nil {
		row(w, "migration", string(m.Phase))
		optional(w, "paused by", m.Paused)
		if m.Rate > 0 {
			row(w, "at most", strconv.FormatInt(m.Rate, 10)+"/s")
		}
	}
	row(w, "runner", j.Runner)
	row(w, "failed attempts", strconv.Itoa(j.Attempts))
	row(w, "last error", j.Error)
	row(w, "made", seconds(j.Made))
	row(w, "started", seconds(j.Started))
	row(w, "ended", seconds(j.Ended))
	return nil
}

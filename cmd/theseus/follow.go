package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// held says of a run with a hold-after that its pause is the end, for whoever
// asked for it.
func held(o client.RunOptions) func(client.Upgrade) bool {
	if o.HoldAfter == 0 {
		return nil
	}
	return client.Upgrade.Held
}

// follow writes what happens until the upgrade is over, until a migration waits for
// a person, or until until says so.
func (a *app) follow(c *cobra.Command, api *client.Client, until func(client.Upgrade) bool) error {
	lines := a.stdout
	if a.flags.output == "json" || a.flags.output == "yaml" {
		lines = a.stderr // stdout is for the last state alone
	}
	s := &story{lines: lines, status: a.stderr, redraw: a.outTerminal && a.errTerminal, width: a.width}
	last, err := client.Follower{
		Client: api, Every: 500 * time.Millisecond, Silence: 5 * time.Minute, See: s.see, Lost: s.lost,
		Until: func(u client.Upgrade) bool { return waitsForRetry(u) || until != nil && until(u) },
	}.Run(c.Context())
	s.clear()
	if err != nil {
		return unlessWaited(c.Context(), followEnd(err), "the upgrade goes on; see it with theseus system upgrade status --follow")
	}
	if lines != a.stdout {
		err = a.show(c, last.Raw, upgradeTable)
	}
	if last.Status == "failed" {
		return errors.Join(err, &upgradeFailed{last})
	}
	if waitsForRetry(last) {
		return errors.Join(err, &migrationFailed{*last.Migration})
	}
	if !last.Over() {
		return errors.Join(err, a.tell(nil, "paused by %s: look at it, then theseus system upgrade resume, or rollback", last.Paused.By))
	}
	err = errors.Join(err, a.tell(nil, "%s: %s", last.Status, last.FinalState))
	if next := inBackground(last); next != "" {
		return errors.Join(err, a.tell(nil, "%s", next))
	}
	if err != nil || last.Completed || last.WaitingFor == nil {
		return err
	}
	return a.tell(nil, "not completed: waits for %s; you may %s", last.WaitingFor.What, strings.Join(last.WaitingFor.Choices, "; "))
}

// followBroken is an upgrade that goes on unseen.
type followBroken struct{ err error }

func (e *followBroken) Error() string { return "follow the upgrade: " + e.err.Error() }
func (e *followBroken) Unwrap() error { return e.err }

func followEnd(err error) error {
	var answer *model.Error
	if errors.As(err, &answer) || errors.Is(err, client.ErrCleared) {
		return err
	}
	return &followBroken{err}
}

// upgradeFailed is an upgrade that ended badly.
type upgradeFailed struct{ last client.Upgrade }

func (e *upgradeFailed) Error() string { return "the upgrade failed: " + e.last.FinalState }

// wentBack says that every member that is off the plan runs its kept binary again.
func (e *upgradeFailed) wentBack() bool {
	if e.last.RollBack != "" {
		return e.last.RollBack == model.BackDone
	}
	at := func(step model.Step) bool {
		return slices.ContainsFunc(e.last.Nodes, func(n client.Node) bool { return n.Step == string(step) })
	}
	return at(model.Reverted) && !at(model.Broken) || strings.Contains(e.last.FinalState, "rolled back to")
}

// stuck says that going back failed: a person is needed.
func (e *upgradeFailed) stuck() bool { return e.last.RollBack == model.BackFailed }

// story writes every line of a transcript once, and on a terminal what is being
// done now as one line that is drawn again.
type story struct {
	lines, status io.Writer
	redraw        bool
	width         func() int

	told []string
	mute bool // silence was reported, and lasts
	data meter
}

func (s *story) see(u client.Upgrade) {
	s.mute = false
	s.clear()
	for _, line := range unheard(s.told, u.Transcript) {
		fmt.Fprintln(s.lines, printable(line))
		s.told = append(s.told, line)
	}
	s.draw(now(u))
	if u.Migration != nil && moving(u) && !s.redraw {
		if line := s.data.line(*u.Migration); line != "" {
			fmt.Fprintln(s.status, printable(line))
		}
	}
}

// lost says once per silence that nobody answers.
func (s *story) lost(err error) {
	if s.mute {
		return
	}
	s.mute = true
	s.clear()
	fmt.Fprintln(s.status, printable(fmt.Sprintf("no answer, asking again: %v", err)))
}

func (s *story) draw(line string) {
	if !s.redraw {
		return
	}
	runes := []rune(printable(line))
	fmt.Fprint(s.status, string(runes[:min(len(runes), s.width()-1)]))
}

func (s *story) clear() {
	if s.redraw {
		fmt.Fprint(s.status, "\r\x1b[K")
	}
}

// now is one line on what is being done.
func now(u client.Upgrade) string {
	line := fmt.Sprintf("%s %d %%", u.Status, u.Progress)
	switch {
	case moving(u):
		line += ", " + dataLine(*u.Migration)
	case u.WorkingState != "":
		line += ", " + u.WorkingState
	case u.WaitingFor != nil && u.WaitingFor.What != "":
		line += ", waiting for " + u.WaitingFor.What
	}
	return line
}

// unheard are the lines of a transcript that were not told. The server keeps the
// last lines only, so that what was told may be gone from the front: the longest
// end of it that the transcript begins with is what the two have in common.
func unheard(told, transcript []string) []string {
	for k := range told {
		if common := told[k:]; len(common) <= len(transcript) && slices.Equal(common, transcript[:len(common)]) {
			return transcript[len(common):]
		}
	}
	return transcript
}

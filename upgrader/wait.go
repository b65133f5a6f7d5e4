package upgrader

import (
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
)

const (
	checkingLimit  = 2 * time.Minute
	verifyingLimit = 2 * time.Minute
	leaseLimit     = time.Minute // a staging whose receiver is silent for so long is dropped

	// DefaultDeadline is a member's time for its whole turn, as in Digital Rebar.
	DefaultDeadline = time.Hour
	// DefaultProbation is how long a member must be well before the next goes.
	DefaultProbation = 10 * time.Second
)

// limit is the end of the present wait.
func limit(u *model.Upgrade) time.Duration {
	switch u.Phase {
	case model.Checking:
		return checkingLimit + u.Options.Await
	case model.Verifying:
		return verifyingLimit
	}
	if p := turnOf(u); p != nil && p.Step == model.Probation {
		return u.Options.Probation + u.Options.Deadline
	}
	return u.Options.Deadline
}

func turnOf(u *model.Upgrade) *model.Progress {
	if u.Turn == nil {
		return nil
	}
	return u.Member(u.Turn.Member)
}

// waitKey names the present wait. Its clock starts anew when the name changes:
// a turn is one wait from its grant until the member is back, probation another,
// and so is finding out whether the first member's new version works.
// Waiting for a window to open is none that runs out.
func waitKey(u *model.Upgrade, open bool) string {
	p := turnOf(u)
	switch {
	case p != nil && p.Step == model.Probation:
		return fmt.Sprintf("probation of %s, attempt %d, process %s", p.ID, p.Attempt, p.Boot)
	case p != nil:
		return fmt.Sprintf("turn of %s, attempt %d", p.ID, p.Attempt)
	case u.Phase.Status() == "working" && u.Paused != nil:
		return string(u.Phase) + ", paused"
	case u.Phase == model.Rolling && !open:
		return "rolling, its window closed"
	case u.Phase == model.Rolling, u.Phase == model.Reverting:
		return fmt.Sprintf("%s, %d settled%s", u.Phase, settledIn(u), provenIn(u))
	}
	return fmt.Sprintf("%s, run %d%s", u.Phase, u.Runs, jobIn(u))
}

// jobIn names the migration that is waited for.
func jobIn(u *model.Upgrade) string {
	if u.Job == "" {
		return ""
	}
	return ", job " + u.Job
}

func provenIn(u *model.Upgrade) string {
	if u.Proof == nil || u.Proof.Run != u.Runs {
		return ""
	}
	return ", proven"
}

// settledIn counts the members that are through with the phase.
func settledIn(u *model.Upgrade) (n int) {
	for _, p := range u.Members {
		if p.Step != model.Waiting && p.Step != model.Returning {
			n++
		}
	}
	return n
}

// clock measures one wait on this member's monotonic clock, on top of what
// earlier leaders wrote down of it.
type clock struct {
	key   string
	since time.Time
	base  time.Duration
	told  time.Duration
}

// passed is how long the wait named key has lasted.
func (c *clock) passed(w model.Wait, key string, now time.Time) time.Duration {
	if c.key != key {
		*c = clock{key: key, since: now}
		if w.For == key {
			c.base, c.told = w.Passed, w.Passed
		}
	}
	return c.base + now.Sub(c.since)
}

// due says whether another twentieth of the wait has gone by unrecorded.
func (c *clock) due(passed, limit time.Duration) bool { return passed-c.told >= limit/20 }

// span is a duration without its noughts: 1h and not 1h0m0s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// WaitingFor is what an upgrade waits for, as people see it.
type WaitingFor struct {
	What    string   `json:"what"`
	Since   string   `json:"since"`
	Until   string   `json:"until,omitempty"` // RFC 3339; for people
	Then    string   `json:"then,omitempty"`  // what happens at that time
	Choices []string `json:"choices"`
}

// Package migrate runs the migrations that packages carry: executables that move
// data to the form of a new version, in steps, and say after each how far they
// are. It knows a process, its limits and a line protocol; what the data is, who
// leads and what is on record it must never know.
//
// What a migration writes on its standard output, a line each:
//
//	log TEXT                      for the log of the job
//	checkpoint DONE TOTAL TOKEN   so much is done, and the next attempt may begin at TOKEN
//	estimate ITEMS COMMITS        so much is to be done, in so many writes
//
// After a checkpoint it waits for the line "go" on its standard input: by then the
// checkpoint is kept. That may take long, when the migration is paused or slowed
// down. It exits with 0 when it is done; what it wrote on its standard error last
// says why it failed otherwise. Its environment has THESEUS_CHECKPOINT, the TOKEN
// to begin at; "" is the beginning.
package migrate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/internal/child"
)

const (
	lineLimit = 4 << 10         // bytes of a line
	saidLimit = 1 << 10         // of what it wrote on its standard error first, and last
	stopLimit = 2 * time.Second // from SIGTERM to SIGKILL
	niceness  = 10
	openFiles = 1024
)

// Checkpoint is how far a migration is.
type Checkpoint struct {
	Done, Total int64
	Token       string // where the next attempt begins
}

// Process is one migration to run.
type Process struct {
	Path string
	Args []string
	Env  []string // all of its environment but THESEUS_CHECKPOINT
	Dir  string

	Memory   int64         // bytes of data it may have; 0: no limit
	Deadline time.Duration // for this run, but for the time that Keep takes; 0: none

	// Log, Keep and Estimate are called one after the other. Keep returns when the
	// checkpoint is kept and the migration may go on; its error ends the run. What
	// is nil the migration must not say.
	Log      func(text string)
	Keep     func(ctx context.Context, c Checkpoint) error
	Estimate func(e Estimate)
}

// Estimate is how much a migration has to do.
type Estimate struct{ Items, Commits int64 }

// Run runs the migration from a token on. It and whatever it has started are gone
// when Run returns, and also when this process ends, however it does.
func (p Process) Run(ctx context.Context, from string) error {
	ctx, limit := p.limited(ctx)
	defer limit.stop()
	err := p.run(ctx, limit, from)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// deadline ends a run that has worked for too long. The zero value never does.
type deadline struct {
	timer *time.Timer
	end   context.CancelCauseFunc
	left  time.Duration
	since time.Time
}

func (p Process) limited(ctx context.Context) (context.Context, *deadline) {
	if p.Deadline <= 0 {
		return ctx, &deadline{}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	d := &deadline{end: cancel, left: p.Deadline, since: time.Now()}
	d.timer = time.AfterFunc(p.Deadline, func() { cancel(fmt.Errorf("it took longer than its deadline of %s", p.Deadline)) })
	return ctx, d
}

// rest stops the clock until go on is called.
func (d *deadline) rest() {
	if d.timer != nil && d.timer.Stop() {
		d.left -= time.Since(d.since)
	}
}

func (d *deadline) goOn() {
	if d.timer != nil {
		d.since = time.Now()
		d.timer.Reset(max(d.left, 0))
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.end(nil)
	}
}

func (p Process) run(ctx context.Context, limit *deadline, from string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	said := child.Keep(saidLimit)
	cmd := exec.CommandContext(ctx, p.Path, p.Args...)
	defer child.Tie(cmd, stopLimit)()
	cmd.Env, cmd.Dir, cmd.Stderr = append(p.Env, "THESEUS_CHECKPOINT="+from), p.Dir, said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	if err := p.bound(cmd.Process.Pid); err != nil {
		cancel(err)
	}
	if err := p.converse(ctx, limit, out, in); err != nil {
		cancel(err)
	}
	err = cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, said)
	}
	return nil
}

// bound sets the limits of a process that has just begun.
func (p Process) bound(pid int) error {
	limits := map[int]uint64{unix.RLIMIT_NOFILE: openFiles, unix.RLIMIT_CORE: 0}
	if p.Memory > 0 {
		limits[unix.RLIMIT_DATA] = uint64(p.Memory)
	}
	for which, most := range limits {
		if err := unix.Prlimit(pid, which, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("limit its resources: %w", err)
		}
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, pid, niceness); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("lower its priority: %w", err)
	}
	return nil
}

// converse reads what it says to the end, and answers.
func (p Process) converse(ctx context.Context, limit *deadline, out io.Reader, in io.WriteCloser) error {
	defer in.Close()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, lineLimit)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch {
		case word == "log" && p.Log != nil:
			p.Log(rest)
		case word == "estimate" && p.Estimate != nil:
			e, err := parseEstimate(rest)
			if err != nil {
				return err
			}
			p.Estimate(e)
		case word == "checkpoint" && p.Keep != nil:
			c, err := parseCheckpoint(rest)
			if err != nil {
				return err
			}
			limit.rest()
			if err := p.Keep(ctx, c); err != nil {
				return err
			}
			limit.goOn()
			if _, err := io.WriteString(in, "go\n"); err != nil {
				return nil // it did not wait: how it ended says why
			}
		default:
			return fmt.Errorf("it said %q: that is not for now", brief(lines.Text()))
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("it wrote a line of more than %d bytes", lineLimit)
	}
	return nil // it has closed its output: how it ends says the rest
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	fields := strings.SplitN(text, " ", 3)
	if len(fields) == 3 {
		c.Token = fields[2]
		c.Done, err = strconv.ParseInt(fields[0], 10, 64)
		var more error
		c.Total, more = strconv.ParseInt(fields[1], 10, 64)
		err = errors.Join(err, more)
	}
	if len(fields) < 3 || err != nil || c.Token == "" || c.Done < 0 || c.Total < c.Done {
		return c, fmt.Errorf("it said \"checkpoint %s\": want checkpoint DONE TOTAL TOKEN, DONE at most TOTAL", brief(text))
	}
	return c, nil
}

func parseEstimate(text string) (e Estimate, err error) {
	items, commits, _ := strings.Cut(text, " ")
	e.Items, err = strconv.ParseInt(items, 10, 64)
	var more error
	e.Commits, more = strconv.ParseInt(commits, 10, 64)
	if err = errors.Join(err, more); err != nil || e.Items < 0 || e.Commits < 0 {
		return e, fmt.Errorf("it said \"estimate %s\": want estimate ITEMS COMMITS", brief(text))
	}
	return e, nil
}

func brief(text string) string { return strings.ToValidUTF8(text[:min(len(text), 80)], "?") }

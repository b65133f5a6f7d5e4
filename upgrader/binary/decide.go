package binary

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
)

// Heal is all of `theseusd heal`, which a supervisor runs before each start of
// the daemon, from the kept executable: old code. A supervisor such as systemd
// ends the watcher together with the daemon that died, so that nobody else is
// left to count. While an attempt is open, it counts the end of the daemon before
// this start, unless the watcher has, and puts the old executable back when the
// new one cannot be executed or has died for the third time.
//
// Units and run scripts outlive versions: args is --binary and a path, and stays so.
func Heal(args []string, log *slog.Logger) error {
	f := flag.NewFlagSet("heal", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	path := f.String("binary", "", "path of the executable that is about to be started")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	if *path == "" || f.NArg() > 0 {
		return errors.New("heal: --binary and a path are needed and nothing else: a supervisor calls this before it starts the daemon")
	}
	o := &Own{Path: *path}
	a, open, err := o.Attempt()
	if err == nil && open {
		err = o.decide(a, log.With("upgrade", a.Upgrade, "attempt", a.Number))
	}
	if err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	return nil
}

// decide is the decision at one start by a supervisor.
func (o *Own) decide(a Attempt, log *slog.Logger) error {
	if _, held, err := holder(a.DataDir); err != nil || held {
		return err // a daemon serves: this start is a second one, and gives way
	}
	at, err := FileImage(o.Path)
	if err == nil && at != a.OldImage && at != a.NewImage {
		log.Warn("the executable at the path is none of this attempt; it is left alone", "image", at)
		return nil
	}
	v, err := o.announce(a, at == a.NewImage)
	if err != nil || v.PutBack || at == a.OldImage && !o.unsaid(a, v) {
		return err
	}
	reason := ""
	if err := executable(o.Path); err != nil {
		reason = fmt.Sprintf("it cannot be executed: %v", err)
	} else if v.Deaths >= maxDeaths {
		reason = fmt.Sprintf("it died %d times in this attempt; the last time: %s", v.Deaths, v.Reason)
	}
	if reason == "" {
		return nil
	}
	log.Error("putting the old executable back", "reason", reason)
	return o.PutBack(reason)
}

// unsaid is true when the old executable at the path was put back by somebody who
// was ended before the verdict: the new one died often enough, and has been there.
func (o *Own) unsaid(a Attempt, v Verdict) bool {
	_, err := os.Lstat(o.Next(a.NewImage))
	return v.Deaths >= maxDeaths && errors.Is(err, os.ErrNotExist)
}

// announce judges the end of the daemon before this start, and notes the start.
// Only the end of a new executable counts, one without a last word, and within
// one life of the kernel: whatever ran before a reboot ended by that.
func (o *Own) announce(a Attempt, isNew bool) (v Verdict, err error) {
	kernel, err := kernelBoot()
	if err != nil {
		return v, err
	}
	err = o.locked(func() error {
		e, _, err := o.endsOf(a)
		if err != nil {
			return err
		}
		if v, err = o.verdictOn(a); err != nil {
			return err
		}
		died := isNew && e.Judged <= e.Starts && e.Kernel == kernel && !o.ended(a)
		e.Kernel, e.Starts = kernel, e.Starts+1
		e.Judged = e.Starts
		if died {
			v, err = o.bury(a, e, "how is not known: its supervisor started it again")
		} else {
			err = o.write("ends", e)
		}
		return errors.Join(err, o.drop("stopped")) // it was about the one before
	})
	return v, err
}

// ended says whether the last daemon of a ended on purpose.
func (o *Own) ended(a Attempt) bool {
	var s stopping
	found, err := o.read("stopped", &s)
	return err == nil && found && s.Upgrade == a.Upgrade && s.Attempt == a.Number
}

// executable fails when the kernel cannot start what is at path. It starts it, as
// nothing else tells for certain, and ends it at once.
func executable(path string) error {
	cmd := exec.Command(path, "--version")
	cmd.Env = startEnv(os.Environ())
	err := cmd.Start()
	if err != nil && passing(err) {
		return nil // the machine is short of something; the start itself will tell
	}
	if err != nil {
		return err
	}
	cmd.Process.Kill()
	cmd.Wait() // how it ended is of no interest
	return nil
}

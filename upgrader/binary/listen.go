package binary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// stethoscope is what the watcher has heard of the daemon, measured in time that
// the watcher itself was awake.
type stethoscope struct {
	last   beat
	heard  bool // a beat of this attempt
	looked time.Time

	silent time.Duration // since the last beat
	isNew  bool          // the new image runs
	fresh  bool          // and has not beaten yet
	apart  time.Duration // on end
	alone  time.Duration // on end
}

// hangs says why the daemon that is followed does not live, though its process
// does; "" is: it does, or nothing is known. The old image is not judged.
func (w *watcher) hangs() string {
	s := &w.hears
	passed := s.tick(time.Now())
	var b beat
	found, err := w.own.read("beat", &b)
	if err == nil && found && b.Upgrade == w.attempt.Upgrade && b.Attempt == w.attempt.Number {
		s.hear(b, w.attempt.NewImage)
	}
	if !s.isNew || w.begins == 0 {
		return ""
	}
	s.add(passed)
	deadline, err := time.ParseDuration(w.attempt.Deadline)
	if err != nil {
		return ""
	}
	return s.verdict(w.begins, deadline)
}

// tick is how long the watcher was awake since the last look: it may have been
// stopped, and the machine with it.
func (s *stethoscope) tick(now time.Time) time.Duration {
	passed := now.Sub(s.looked)
	s.looked = now
	return min(passed, 5*lookEvery)
}

func (s *stethoscope) hear(b beat, image string) {
	if s.heard && b.PID == s.last.PID && b.Number == s.last.Number && b.Stage == s.last.Stage {
		return
	}
	s.isNew = s.isNew || b.Stage == stageLeaving || b.Image == image
	s.fresh = b.Stage == stageLeaving
	s.last, s.heard, s.silent = b, true, 0
}

func (s *stethoscope) add(passed time.Duration) {
	s.silent += passed
	s.apart, s.alone = s.apart+passed, s.alone+passed
	if s.fresh || s.last.Contact != Apart {
		s.apart = 0
	}
	if s.fresh || s.last.Contact != Alone {
		s.alone = 0
	}
}

func (s *stethoscope) verdict(start, deadline time.Duration) string {
	patience, what := silenceLimit+s.last.Quiet, "it stopped giving signs of life while "+s.last.Stage
	if s.fresh {
		patience, what = start+s.last.Quiet, "it gave no sign of life after its start"
	}
	switch {
	case s.silent > patience:
		return fmt.Sprintf("%s: none for %s", what, patience)
	case s.apart > apartLimit:
		return fmt.Sprintf("it could not rejoin for %s, though the others have a leader", apartLimit)
	case s.alone > deadline:
		return fmt.Sprintf("it saw no quorum within its deadline of %s", deadline)
	}
	return ""
}

// restarted: another process begins, with a start of its own.
func (s *stethoscope) restarted() {
	s.fresh, s.silent, s.apart, s.alone, s.looked = true, 0, 0, 0, time.Now()
}

// replace puts the old executable back in the place of one that hangs, and then
// ends the process: in this order, so that whoever starts the daemon next starts
// the old one.
func (w *watcher) replace(ctx context.Context, daemon *process, reason string) (*process, error) {
	if at, err := FileImage(w.own.Path); err == nil && at == w.attempt.OldImage {
		w.log.Error("the daemon does not live, and no new executable is to blame", "pid", daemon.pid, "reason", reason)
		w.hears = stethoscope{looked: time.Now()}
		return daemon, nil
	}
	w.log.Error("putting the old executable back, and ending the daemon", "pid", daemon.pid, "reason", reason)
	if err := w.own.PutBack(reason); err != nil {
		return nil, err
	}
	err := unix.PidfdSendSignal(int(daemon.fd.Fd()), unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("end process %d: %w", daemon.pid, err)
	}
	daemon.follow(ctx, w.open)
	daemon.end()
	if w.attempt.Supervised {
		return nil, nil
	}
	p, err := w.startPatiently(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the old executable: %w", err)
	}
	w.log.Info("started the old executable", "pid", p.pid)
	return nil, nil
}

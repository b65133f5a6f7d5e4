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
	at     time.Time // of last, by the daemon's clock
	looked time.Time

	silent  time.Duration // since the last beat
	isNew   bool          // the new image runs
	fresh   bool          // and has not beaten yet
	opening time.Duration // and has beaten
	apart   time.Duration // on end
	alone   time.Duration // on end
}

// hangs says why the daemon that is followed does not live, though its process
// does; "" is: it does, or nothing is known. The old image is not judged.
func (w *watcher) hangs() string {
	s := &w.hears
	passed := s.tick(time.Now())
	b, at, err := w.own.lastBeat()
	if err == nil && b.Upgrade == w.attempt.Upgrade && b.Attempt == w.attempt.Number {
		s.hear(b, at, w.attempt.NewImage)
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

func (s *stethoscope) hear(b beat, at time.Time, image string) {
	if at.Equal(s.at) && b.PID == s.last.PID && b.Number == s.last.Number && b.Stage == s.last.Stage {
		return
	}
	// A watcher may miss the last beat of the old image, and the first of the new
	// one does not know its image. If it is the old one that starts, replace sees it.
	s.isNew = s.isNew || b.Stage == stageLeaving || b.Stage == StageOpening || b.Image == image
	s.fresh = b.Stage == stageLeaving
	s.last, s.at, s.silent = b, at, 0
}

func (s *stethoscope) add(passed time.Duration) {
	s.silent += passed
	s.opening = longer(s.opening, passed, !s.fresh && s.last.Stage == StageOpening)
	s.apart = longer(s.apart, passed, !s.fresh && s.last.Contact == Apart)
	s.alone = longer(s.alone, passed, !s.fresh && s.last.Contact == Alone)
}

// longer is how long something has lasted on end.
func longer(so, passed time.Duration, still bool) time.Duration {
	if !still {
		return 0
	}
	return so + passed
}

// verdict is why the new image does not live, as hangs; start is how long it may
// be opening, 0 that it is not known to beat before it has.
func (s *stethoscope) verdict(start, deadline time.Duration) string {
	patience := silenceLimit + s.last.Quiet
	switch {
	case !s.isNew:
	case s.fresh && start > 0 && s.silent > patience:
		return fmt.Sprintf("it gave no sign of life after its start: none for %s", patience)
	case s.fresh:
	case s.silent > patience:
		return fmt.Sprintf("it stopped giving signs of life while %s: none for %s", s.last.Stage, patience)
	case start > 0 && s.opening > start:
		return fmt.Sprintf("it was not open within %s of its start", start)
	case s.apart > apartLimit:
		return fmt.Sprintf("it could not rejoin for %s, though the others have a leader", apartLimit)
	case s.alone > deadline:
		return fmt.Sprintf("it saw no quorum within its deadline of %s", deadline)
	}
	return ""
}

// restarted: another process begins, with a start of its own.
func (s *stethoscope) restarted() {
	*s = stethoscope{last: s.last, at: s.at, isNew: s.isNew, fresh: true, looked: time.Now()}
	s.last.Quiet = startQuiet
}

// replace puts the old executable back in the place of one that hangs, and then
// ends the process: in this order, so that whoever starts the daemon next starts
// the old one.
func (w *watcher) replace(ctx context.Context, daemon *process, reason string) (*process, error) {
	if at, err := FileImage(w.own.Path); err == nil && at == w.attempt.OldImage && !w.condemned {
		w.log.Error("the daemon does not live, and no new executable is to blame", "pid", daemon.pid, "reason", reason)
		w.hears = stethoscope{looked: time.Now()}
		return daemon, nil
	}
	w.log.Error("putting the old executable back, and ending the daemon", "pid", daemon.pid, "reason", reason)
	w.condemned = true
	if err := w.own.PutBack(reason); err != nil {
		w.log.Error("put the old executable back; trying again", "error", err)
		pause(ctx, silenceLimit)
		return daemon, nil
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

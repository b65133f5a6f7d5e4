package binary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// maxDeaths within one attempt are a verdict on a build. One is not: somebody
// may have killed a good one.
const maxDeaths = 3

// died decides what comes after a daemon's death; nil is nothing more to follow.
func (w *watcher) died(ctx context.Context, daemon *process) (*process, error) {
	how, clean := daemon.end()
	if word, said := w.own.stopped(w.attempt, daemon.pid); said && word.Next {
		w.log.Info("the daemon ended for its supervisor to start the next", "pid", daemon.pid)
		return w.await(ctx)
	} else if said {
		w.log.Info("the daemon was stopped; it is not started again", "pid", daemon.pid)
		return nil, nil
	}
	other, err := w.present()
	if err != nil || other != nil && clean {
		return other, err // ours found another one serving, and left
	}
	v, judged, err := w.own.judge(w.attempt, daemon.number, how)
	if err != nil || !judged && v.PutBack {
		return nil, err
	}
	if !judged {
		return w.await(ctx) // Heal has judged it, or is about to
	}
	w.log.Warn("the daemon died", "pid", daemon.pid, "how", how, "deaths", v.Deaths)
	if other != nil {
		return other, nil
	}
	if v.Deaths >= maxDeaths {
		return w.giveUp(ctx, fmt.Sprintf("it died %d times in this attempt; the last time: %s", v.Deaths, how))
	}
	return w.resume(ctx)
}

// present is the daemon that somebody else started meanwhile, or nil.
func (w *watcher) present() (*process, error) {
	for range 100 {
		pid, held, err := holder(w.attempt.DataDir)
		if err != nil || !held {
			return nil, err
		}
		if alive(pid) {
			return find(pid)
		}
		time.Sleep(busyPause) // it has the lock and has not written its pid yet
	}
	return nil, fmt.Errorf("data directory %s is in use by a process that does not say which", w.attempt.DataDir)
}

// resume starts what is at the path. What cannot be executed is put back at once.
func (w *watcher) resume(ctx context.Context) (*process, error) {
	if w.attempt.Supervised {
		return w.await(ctx)
	}
	p, err := w.startPatiently(ctx)
	if err != nil {
		return w.giveUp(ctx, fmt.Sprintf("it cannot be executed: %v", err))
	}
	w.log.Info("started the daemon again", "pid", p.pid)
	return p, nil
}

// startPatiently gives a machine that is short of something for a moment some time.
func (w *watcher) startPatiently(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		p, err := w.start()
		if err == nil || !passing(err) || !pause(ctx, lookEvery) {
			return p, err
		}
	}
}

func passing(err error) bool {
	for _, e := range []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.ETXTBSY} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// await follows whatever daemon the supervisor starts. One that dies before it
// is seen here is counted by Heal only.
func (w *watcher) await(ctx context.Context) (*process, error) {
	for w.open() {
		p, err := w.present()
		if p != nil {
			w.log.Info("following the daemon that was started", "pid", p.pid)
		}
		if p != nil || err != nil || !pause(ctx, busyPause) {
			return p, err
		}
	}
	return nil, nil
}

// giveUp ends the attempt at the new executable: the old one is put back and
// started. If the old one is at the path, no build is to blame and starting it
// once more would be no help.
func (w *watcher) giveUp(ctx context.Context, reason string) (*process, error) {
	if at, err := FileImage(w.own.Path); err == nil && at == w.attempt.OldImage {
		return nil, fmt.Errorf("the old executable is at the path, and it does not live: %s", reason)
	}
	w.log.Error("putting the old executable back", "reason", reason)
	if err := w.own.PutBack(reason); err != nil {
		return nil, err
	}
	if w.attempt.Supervised {
		return nil, w.evict()
	}
	p, err := w.startPatiently(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the old executable: %w", err)
	}
	w.log.Info("started the old executable", "pid", p.pid)
	return nil, nil
}

// evict ends a daemon that the supervisor was so quick to start that it runs what
// was put back since. One that has not come to the lock yet is told by Expelled.
func (w *watcher) evict() error {
	p, err := w.present()
	if err != nil || p == nil {
		return err
	}
	defer p.fd.Close()
	w.log.Warn("ending the daemon that was started meanwhile, for the old executable to be started", "pid", p.pid)
	err = unix.PidfdSendSignal(int(p.fd.Fd()), unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end process %d: %w", p.pid, err)
	}
	return nil
}

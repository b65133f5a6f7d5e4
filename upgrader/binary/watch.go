package binary

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// Watch is all of `theseusd watch`, which the daemon starts on itself when it
// arms; args is what follows the word. It follows the daemon while the attempt
// is open, starts it again when it dies, and puts the old executable back when
// the new one cannot be executed or dies for the third time. It ends with the
// attempt, with ctx, or when its work is done.
//
// It holds no socket and no store, and learns from synced files only: whatever
// the new code does, this code is another process and another file.
func Watch(ctx context.Context, args []string, log *slog.Logger) error {
	var path string
	var pid int
	var detach bool
	f := flag.NewFlagSet("watch", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&path, "binary", "", "path of the executable whose attempt is open")
	f.IntVar(&pid, "pid", 0, "the daemon, whose pidfd is descriptor 3")
	f.BoolVar(&detach, "detach", false, "go on in another process, and end")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if path == "" || pid <= 0 || f.NArg() > 0 {
		return errors.New("watch: --binary and --pid are needed and nothing else: the daemon calls this, not people")
	}
	o := &Own{Path: path}
	self, ready := os.NewFile(pidfdFD, "pidfd"), os.NewFile(readyFD, "ready")
	if detach {
		return o.watchCommand(running, pid, self, ready).Start()
	}
	return o.watch(ctx, &process{pid: pid, fd: self}, ready, log)
}

func (o *Own) watch(ctx context.Context, daemon *process, ready *os.File, log *slog.Logger) error {
	unix.CloseOnExec(pidfdFD)
	unix.CloseOnExec(readyFD)
	// A write to a closed terminal or pipe must not end the watcher.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	w, err := o.hold()
	if err != nil {
		return errors.Join(err, ready.Close()) // without a word: nobody watches
	}
	if w == nil {
		return say(ready, readyBusy)
	}
	defer w.record.Close()
	w.log = log.With("upgrade", w.attempt.Upgrade, "attempt", w.attempt.Number)
	daemon.number = w.number(daemon)
	if err := say(ready, readyWatches); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	return w.run(ctx, daemon)
}

func say(ready *os.File, word string) error {
	_, err := ready.WriteString(word + "\n")
	return errors.Join(err, ready.Close())
}

// watcher follows the daemon through one attempt.
type watcher struct {
	own     *Own
	attempt Attempt
	record  *os.File // of the attempt, locked: one attempt, one watcher
	log     *slog.Logger

	hears     stethoscope
	begins    time.Duration // the new image may be opening; 0: it is not known to beat
	condemned bool          // the new image hangs, and is to be put back
}

// hold makes this process the watcher of the open attempt; nil when there is
// none, when it is watched already, or when it is from before a reboot.
func (o *Own) hold() (*watcher, error) {
	f, err := os.Open(o.beside("attempt"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &watcher{own: o, record: f}
	var open bool
	w.attempt, open, err = o.Attempt()
	kernel, bootErr := kernelBoot()
	if err = errors.Join(err, bootErr); err == nil && open && w.attempt.Kernel == kernel && w.open() {
		err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			w.begins = o.startOf(w.attempt.NewImage)
			return w, nil
		}
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = nil
	}
	return nil, err
}

// open says whether the attempt that is watched is the one on record still: each
// record is a file of its own.
func (w *watcher) open() bool {
	mine, err := w.record.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(w.own.beside("attempt"))
	return err == nil && os.SameFile(mine, there)
}

// run follows one process after the other until there is none to follow.
func (w *watcher) run(ctx context.Context, daemon *process) error {
	w.hears.looked = time.Now()
	for daemon != nil {
		reason := ""
		died := daemon.follow(ctx, func() bool {
			reason = w.hangs()
			return reason == "" && w.open()
		})
		if !died && (reason == "" || ctx.Err() != nil || !w.open()) {
			return nil
		}
		next, err := w.next(ctx, daemon, reason)
		if err != nil {
			w.log.Error("watch", "error", err)
			return fmt.Errorf("watch: %w", err)
		}
		if next != nil && next != daemon {
			next.number = w.number(next)
			w.hears.restarted()
		}
		daemon = next
	}
	return nil
}

// next is what comes after a daemon that died, or that hangs for a reason.
func (w *watcher) next(ctx context.Context, daemon *process, reason string) (*process, error) {
	if reason != "" {
		return w.replace(ctx, daemon, reason)
	}
	return w.died(ctx, daemon)
}

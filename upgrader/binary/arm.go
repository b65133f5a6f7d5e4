package binary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/internal/durable"
)

// Plan is what an attempt at the next executable needs to know.
type Plan struct {
	Upgrade  string
	Member   string
	Attempt  int
	DataDir  string        // whose lock tells who the daemon is
	Image    string        // sha256:<hex>, extracted before
	Deadline time.Duration // of the member's turn
	Start    Start         // how the watcher starts the daemon again
}

// fileID tells a file from another and from itself after a change. The device is
// left out: its number may change with a reboot.
type fileID struct {
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // ctime in nanoseconds: moves with bytes, owner, mode and capabilities
}

func identify(fd int) (fileID, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return fileID{st.Ino, st.Size, st.Ctim.Nano()}, err
}

// Arm makes everything ready for Swap while the daemon serves: it hashes the
// next executable, keeps the running one as Previous, writes the attempt down
// and starts the watcher. From then until Close the watcher starts the daemon
// again when it dies. An attempt that was open before is superseded. May be
// called again; if it fails, nothing is armed.
func (o *Own) Arm(p Plan) error {
	a, err := o.attempt(p)
	if err != nil {
		return fmt.Errorf("arm: %w", err)
	}
	if err := crash.Point("prepare-link", o.keep); err != nil {
		return fmt.Errorf("arm: keep the running executable: %w", err)
	}
	err = crash.Point("prepare-attempt", func() error { return o.write("attempt", a) })
	if err == nil {
		err = crash.Point("prepare-watcher", func() error { return o.spawn(running) })
	}
	if err != nil {
		return errors.Join(fmt.Errorf("arm: %w", err), o.Close())
	}
	return nil
}

func (o *Own) attempt(p Plan) (Attempt, error) {
	next, err := o.prove(p.Image)
	if err != nil {
		return Attempt{}, err
	}
	kernel, err := kernelBoot()
	if err != nil {
		return Attempt{}, err
	}
	dataDir, err := filepath.Abs(p.DataDir)
	if err == nil && p.DataDir == "" {
		err = errors.New("the plan names no data directory")
	}
	return Attempt{
		V: recordVersion, Upgrade: p.Upgrade, Member: p.Member, Number: p.Attempt,
		DataDir: dataDir, Binary: o.Path, OldImage: o.Image, NewImage: p.Image, Next: next,
		Deadline: p.Deadline.String(), Start: p.Start, Supervised: o.Supervised || Supervised(), Kernel: kernel,
		Started: time.Now().UTC().Format(time.RFC3339),
	}, err
}

// prove hashes the open next executable and compares its owner, mode and
// capabilities with those of the own one.
func (o *Own) prove(image string) (fileID, error) {
	next := o.Next(image)
	fd, err := unix.Open(next, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fileID{}, fmt.Errorf("open the next executable %s: %w", next, err)
	}
	f := os.NewFile(uintptr(fd), next)
	defer f.Close()
	before, err := identify(fd)
	if err != nil {
		return before, fmt.Errorf("look at the next executable: %w", err)
	}
	got, err := imageOf(f)
	if err == nil && got != image {
		err = fmt.Errorf("%s is %s, not %s", next, got, image)
	}
	if err != nil {
		return before, err
	}
	if err := o.compareLooks(next); err != nil {
		return before, err
	}
	after, err := identify(fd)
	if err == nil && after != before {
		err = fmt.Errorf("%s changed while it was read", next)
	}
	return before, err
}

func (o *Own) compareLooks(path string) error {
	want, err := o.looks()
	if err != nil {
		return err
	}
	got, err := looksOf(path)
	if err == nil && got != want {
		err = fmt.Errorf("%s has %s; %s has %s", path, got, o.Path, want)
	}
	return err
}

// keep gives the running executable its second name. The path is linked only if
// it still holds the image that runs; else that is copied out of the kernel.
func (o *Own) keep() error {
	return o.locked(func() error {
		if kept, err := FileImage(o.Previous()); err == nil && kept == o.Image && o.compareLooks(o.Previous()) == nil {
			return nil
		}
		tmp := o.beside("part-previous")
		if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		defer os.Remove(tmp)
		if err := o.second(tmp); err != nil {
			return err
		}
		if err := os.Rename(tmp, o.Previous()); err != nil {
			return err
		}
		return durable.SyncDir(o.dir())
	})
}

// second makes tmp the running executable: by link, else by copy.
func (o *Own) second(tmp string) error {
	if at, err := FileImage(o.Path); err == nil && at == o.Image && os.Link(o.Path, tmp) == nil {
		return nil
	}
	return copyRunning(tmp)
}

// copyRunning keeps working when the file of the running image is gone.
func copyRunning(to string) error {
	want, err := runningLooks()
	if err != nil {
		return err
	}
	return copyFile(running, to, want)
}

func copyFile(from, to string, want looks) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := want.give(context.Background(), to); err != nil {
		return err
	}
	return syncFile(to)
}

// locked runs f while no other process swaps or restores in this directory.
func (o *Own) locked(f func() error) error {
	d, err := os.Open(o.dir())
	if err != nil {
		return fmt.Errorf("lock the directory of the executable: %w", err)
	}
	defer d.Close()
	if err := flock(d, unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the directory of the executable: %w", err)
	}
	return f()
}

package binary

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// alone is the finding that this process is the first of its PID namespace. When
// it dies everything in there dies with it, the watcher too.
func alone(path string, pid int) []Finding {
	if pid != 1 {
		return nil
	}
	return []Finding{{"not PID 1", path,
		"this process is PID 1, as in a container: a new executable that does not live could not be put back from inside, and the container's image would hold the old one still",
		"upgrade the image: one member at a time, the leader last, start a container with the new theseusd in place of the old one, on the same data directory; " +
			"when all run it, `theseus system upgrade` the same archive (docs/manual-upgrade.md)"}}
}

// mounted fails when the file at path is itself the root of a mount, as one file
// bound into a container is: nothing can be renamed over it. Before Linux 5.8 the
// kernel does not say, and the rename fails.
func mounted(path string) error {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st); err != nil {
		return fmt.Errorf("find out whether it is a mount point: %w", err)
	}
	if st.Attributes_mask&st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return errors.New("it is a mount point, as a single file bound into a container is, and cannot be renamed over")
	}
	return nil
}

// altered fails when the executable was replaced by one with another owner, mode
// or capabilities, as package managers do: the next one would get those.
func (o *Own) altered() error {
	now, err := o.looks()
	if err != nil {
		return err
	}
	runs, err := runningLooks()
	if err == nil && now != runs {
		err = fmt.Errorf("it was replaced while it runs: what is there has %s; what runs has %s", now, runs)
	}
	return err
}

// replaceable is what stands against replacing the CLI of the daemon at own.
func (c *CLI) replaceable(ctx context.Context, own string) []Finding {
	err := c.apart(own)
	if err == nil {
		err = c.plain()
	}
	if err == nil {
		err = c.rehearse(ctx)
	}
	if err != nil {
		return []Finding{{"CLI replaceable", c.at.Path, err.Error(),
			allow(err, "replace it there, or start the daemon with another --cli-path or none")}}
	}
	if f := Room(c.at.dir(), c.at.twice()); f != nil {
		return []Finding{*f}
	}
	return nil
}

// apart fails when the CLI is the daemon's own executable.
func (c *CLI) apart(own string) error {
	cli, err := os.Stat(c.at.Path)
	daemon, ownErr := os.Stat(own)
	if c.at.Path == own || err == nil && ownErr == nil && os.SameFile(cli, daemon) {
		return errors.New("it is the daemon's own executable")
	}
	return nil
}

// plain fails when something is at the path that a file cannot be renamed over,
// or not so that people get what they expect.
func (c *CLI) plain() error {
	info, err := os.Lstat(c.at.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		to, err := filepath.EvalSymlinks(c.at.Path)
		if err != nil {
			return fmt.Errorf("it is a symlink that leads nowhere: %w", err)
		}
		return fmt.Errorf("it is a symlink: name the file itself, %s", to)
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	return mounted(c.at.Path)
}

// rehearse tries, on a file of its own, what replacing the CLI does.
func (c *CLI) rehearse(ctx context.Context) error {
	if _, err := os.Lstat(c.at.Path); errors.Is(err, os.ErrNotExist) {
		tmp, err := c.at.temp(nil)
		if err == nil {
			err = os.Remove(tmp)
		}
		return err
	}
	if err := writable(c.at.Path); err != nil {
		return err
	}
	if err := c.at.rehearse(); err != nil {
		return err
	}
	return c.at.rehearseLooks(ctx)
}

package binary

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/internal/durable"
)

// Swap renames the next executable over the own one, as the open attempt says.
// Call it when nothing else is left to do but Exec. If it fails, the old
// executable is at the path.
func (o *Own) Swap() error {
	a, open, err := o.Attempt()
	if err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	if !open {
		return errors.New("swap: no attempt is open")
	}
	if err := o.unchanged(a); err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	err = o.locked(func() error {
		err := crash.Point("rename", func() error { return os.Rename(o.Next(a.NewImage), o.Path) })
		if err != nil {
			return err
		}
		return crash.Point("rename-sync", func() error { return durable.SyncDir(o.dir()) })
	})
	if err != nil {
		return errors.Join(fmt.Errorf("swap: %w", err), o.Restore())
	}
	return nil
}

// unchanged makes sure that the next executable is the file that was hashed; a
// file that was touched since is hashed again.
func (o *Own) unchanged(a Attempt) error {
	var st unix.Stat_t
	next := o.Next(a.NewImage)
	if err := unix.Lstat(next, &st); err != nil {
		return fmt.Errorf("look at %s: %w", next, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG && a.Next == (fileID{st.Ino, st.Size, st.Ctim.Nano()}) {
		return nil
	}
	_, err := o.prove(a.NewImage)
	return err
}

// Restore puts the kept executable back at the path and keeps it as Previous
// too. May be called again.
func (o *Own) Restore() error {
	err := o.locked(func() error {
		tmp := o.beside("part-restore")
		if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		defer os.Remove(tmp) // it stays if the path is a name of the same file already
		if err := o.again(tmp); err != nil {
			return err
		}
		if err := os.Rename(tmp, o.Path); err != nil {
			return err
		}
		return durable.SyncDir(o.dir())
	})
	if err != nil {
		return fmt.Errorf("put the kept executable back: %w", err)
	}
	return nil
}

// again makes tmp the kept executable: by link, where that cannot be by copy.
func (o *Own) again(tmp string) error {
	if os.Link(o.Previous(), tmp) == nil {
		return nil
	}
	want, err := looksOf(o.Previous())
	if err != nil {
		return err
	}
	return copyFile(o.Previous(), tmp, want)
}

// PutBack is the verdict: the open attempt's executable does not live. It puts
// the kept one back and writes down why. Only old code may call it: the watcher,
// or the daemon whose Exec of the new one failed. May be called again.
func (o *Own) PutBack(reason string) error {
	a, open, err := o.Attempt()
	if err != nil {
		return fmt.Errorf("put back: %w", err)
	}
	if !open {
		return errors.New("put back: no attempt is open")
	}
	if err := o.Restore(); err != nil {
		return err
	}
	return o.locked(func() error {
		v, err := o.verdictOn(a)
		if err != nil {
			return fmt.Errorf("put back: %w", err)
		}
		v.PutBack, v.Reason = true, reason
		return o.write("verdict", v)
	})
}

package binary

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Issues are what people should know of the executable while it runs: another
// file lies at its path, or none, and what is the matter with the CLI that goes
// with it. Nil is nothing. A file is hashed only when it has changed: the daemon's
// loop may call it at every pass, from one goroutine.
func (o *Own) Issues() []string {
	var issues []string
	if said := o.changed(); said != "" {
		issues = append(issues, said)
	}
	if o.CLI != nil && o.CLI.trouble != nil {
		issues = append(issues, o.CLI.trouble.Error())
	}
	return issues
}

func (o *Own) changed() string {
	if o.undisturbed() {
		return ""
	}
	at, err := o.seen.image(o.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("its executable %s is gone, and runs all the same: put it back, or this member cannot start again", o.Path)
	case err != nil:
		return fmt.Sprintf("its executable cannot be read: %v", err)
	case at != o.Image:
		return fmt.Sprintf("its executable %s was replaced while it runs: %s lies there and starts at the next restart, %s runs",
			o.Path, at, o.Image)
	}
	return ""
}

// undisturbed says that the file at the path is the very one that runs: it cannot
// be written while it does, so that nothing need be read.
func (o *Own) undisturbed() bool {
	runs, err := os.Stat(running)
	if err != nil {
		return false
	}
	at, err := os.Lstat(o.Path)
	return err == nil && os.SameFile(runs, at)
}

// glance remembers the image of one file until that file changes.
type glance struct {
	id fileID
	of string
}

// image is sha256:<hex> of the regular file at path.
func (g *glance) image(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", fmt.Errorf("%s is not a regular file any more", path)
	}
	id := fileID{st.Ino, st.Size, st.Ctim.Nano()}
	if g.of != "" && g.id == id {
		return g.of, nil
	}
	of, err := FileImage(path)
	if err != nil {
		return "", err
	}
	g.id, g.of = id, of
	return of, nil
}

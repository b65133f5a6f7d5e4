package binary

import (
	"errors"
	"fmt"
	"os"

	"github.com/theseusd/theseus/internal/durable"
)

// NotKeptError says that the executable to go back to is not there any more.
type NotKeptError struct {
	Path, Want, Got string // Got is "" when nothing is there
}

func (e *NotKeptError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("the executable before was not kept: %s is missing", e.Path)
	}
	return fmt.Sprintf("the kept executable %s is %s, not %s", e.Path, e.Got, e.Want)
}

// Kept is the path of the executable with this image (sha256:<hex>) that was kept
// to go back to, or a *NotKeptError.
func (o *Own) Kept(image string) (path string, err error) {
	lost := &NotKeptError{Path: o.Previous(), Want: image}
	// An attempt to go back that was given up has laid it out, and kept the
	// executable that runs in its place.
	for _, path := range []string{o.Next(image), o.Previous()} {
		got, err := FileImage(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("look at the kept executable: %w", err)
		case got == image:
			return path, nil
		}
		lost.Got = got
	}
	return "", lost
}

// Recall lays the kept executable with this image where Arm expects the next one:
// the way back is the way forward. May be called again.
func (o *Own) Recall(image string) error {
	next := o.Next(image)
	kept, err := o.Kept(image)
	if err != nil {
		return fmt.Errorf("go back: %w", err)
	}
	if kept == next {
		return nil
	}
	o.files.Lock()
	defer o.files.Unlock()
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("go back: %w", err)
	}
	want, err := looksOf(kept)
	if err == nil {
		// A copy: a second name would change with the first, and be hashed again
		// while this member is out.
		err = copyFile(kept, next, want)
	}
	if err != nil {
		return fmt.Errorf("go back: lay out the kept executable: %w", err)
	}
	return durable.SyncDir(o.dir())
}

// Has says whether something lies where the executable with this image is expected.
func (o *Own) Has(image string) bool {
	_, err := os.Lstat(o.Next(image))
	return err == nil
}

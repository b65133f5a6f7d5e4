package binary

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

const running = "/proc/self/exe"

// Own is the executable of this member on disk. Its methods work on the file at
// Path and on the files beside it, which are named ".<base>.<what>".
type Own struct {
	Path  string // absolute, symlinks resolved
	Image string // sha256:<hex> of the image that runs, whatever lies at Path now

	CLI *CLI // that goes with it; nil: none

	// Supervised means that something else starts the daemon again whenever it
	// ends, even if Supervised, the function, cannot tell.
	Supervised bool

	seen glance // of Path, for Issues

	files sync.Mutex // held while files come and go beside the executable
}

// Locate finds the executable that this process runs. The file may have been
// replaced or removed since: Present tells.
func Locate() (*Own, error) {
	path, err := ownPath()
	if err != nil {
		return nil, err
	}
	image, err := RunningImage()
	if err != nil {
		return nil, err
	}
	return &Own{Path: path, Image: image}, nil
}

func ownPath() (string, error) {
	// The kernel names the resolved file; os.Executable cuts " (deleted)" off,
	// which the kernel appends once another file was renamed over it.
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the running executable: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return path, nil
}

// Present fails when no regular file is at the path any more.
func (o *Own) Present() error {
	info, err := os.Lstat(o.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return model.Problemf(model.Refused,
			"this process runs %s, and nothing is there any more: put the executable back", o.Path)
	case err != nil:
		return fmt.Errorf("look at the own executable: %w", err)
	case !info.Mode().IsRegular():
		return model.Problemf(model.Refused, "this process runs %s, and what is there now is not a regular file", o.Path)
	}
	return nil
}

// Previous is the path of the kept executable, the way back.
func (o *Own) Previous() string { return o.beside("previous") }

// Next is where Extract lays the executable with this image (sha256:<hex>).
func (o *Own) Next(image string) string {
	short := strings.TrimPrefix(image, imagePrefix)
	return o.beside("next-" + short[:min(12, len(short))])
}

func (o *Own) dir() string { return filepath.Dir(o.Path) }

func (o *Own) beside(what string) string {
	return filepath.Join(o.dir(), "."+filepath.Base(o.Path)+"."+what)
}

// Sweep removes what earlier upgrades left beside the executable, but for the
// paths in keep; name Previous() there to keep the way back. While an attempt is
// open, its record and its way back stay in any case. May be called again, and
// not while Arm runs; Extract and Prerequisites wait for it.
func (o *Own) Sweep(keep ...string) error {
	o.files.Lock()
	defer o.files.Unlock()
	patterns := []string{"next-*", "part-*"}
	if _, open, err := o.Attempt(); err != nil || !open {
		patterns = append(patterns, "previous", "verdict", "stopped", "ends")
	}
	if len(keep) == 0 {
		patterns = append(patterns, "beat", "tried")
	}
	var errs []error
	for _, pattern := range patterns {
		errs = append(errs, o.remove(pattern, keep))
	}
	return errors.Join(errs...)
}

// remove matches by prefix and not by filepath.Glob: the directory's name may
// hold characters that a pattern would read.
func (o *Own) remove(pattern string, keep []string) error {
	entries, err := os.ReadDir(o.dir())
	if err != nil {
		return fmt.Errorf("sweep beside the executable: %w", err)
	}
	want, prefix := strings.CutSuffix(filepath.Base(o.beside(pattern)), "*")
	var errs []error
	removed := false
	for _, e := range entries {
		path := filepath.Join(o.dir(), e.Name())
		fits := e.Name() == want || prefix && strings.HasPrefix(e.Name(), want)
		if !fits || slices.Contains(keep, path) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		removed = true
	}
	if removed {
		errs = append(errs, durable.SyncDir(o.dir()))
	}
	return errors.Join(errs...)
}

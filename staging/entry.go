package staging

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// entry is one regular file of the archive.
type entry struct {
	name string
	size int64 // in a zip, as the directory states it
	open func() (io.ReadCloser, error)

	// In a zip only: what the directory states.
	packed int64
	zipped *zip.File

	// In a tar.gz only, which has to be read to be listed: what was seen of the
	// bytes. The text is kept of the few files that are read into memory.
	mode fs.FileMode // its permissions
	at   int64       // where it begins when all is unpacked
	seen *digest
	text []byte
}

// unfit is the refusal of a file that may not be in a package.
func unfit(name, why string) error {
	if len(name) > nameLimit {
		name = name[:nameLimit] + "..."
	}
	return refused("%q: %s; a package holds only plain files and directories with clean relative names: build it with `theseus package build`", name, why)
}

// disjoint holds that files of these names can be unpacked side by side.
func disjoint(names []string) error {
	if first, second := collision(names); second != "" {
		return refused("%q and %q cannot lie side by side on every system: leave one of them out", first, second)
	}
	return nil
}

// unreadable is the error for a list of files that could not be read.
func unreadable(f Format, err error) error {
	var medium *fault
	switch {
	case errors.As(err, &medium):
		return fmt.Errorf("read the package: %w", medium.err)
	case errors.Is(err, errLongDirectory):
		return tooLarge("%v: build it with `theseus package build`", err)
	}
	return malformed("the %s archive is truncated or damaged (%v): send it again, and compare its sha256 with the builder's", f, err)
}

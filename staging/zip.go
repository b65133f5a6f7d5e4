package staging

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// entry is one regular file of the archive, its sizes as the directory states
// them.
type entry struct {
	name   string
	size   int64
	packed int64
	file   *zip.File
}

// unzip reads the directory of a zip file and holds every rule that needs no
// more than it.
func unzip(r io.ReaderAt, size int64, l Limits) ([]entry, error) {
	s := &source{r: r, size: size, left: int64(l.Entries)*directoryShare + directoryRoom}
	if err := magic(s); err != nil {
		return nil, err
	}
	stated, err := s.stated()
	if err != nil {
		return nil, unreadable(err)
	}
	if stated > uint64(l.Entries) {
		return nil, tooLarge("it holds %d files, more than %d, the limit: pack what belongs together into one file", stated, l.Entries)
	}
	z, err := zip.NewReader(s, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below
		return nil, unreadable(err)
	}
	s.free = true
	return files(z.File, size, l)
}

// magic tells by content whether this is a zip file with something in it.
func magic(s *source) error {
	head := make([]byte, min(s.size, 4))
	if _, err := s.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(err)
	}
	switch {
	case s.size == 0:
		return malformed("it is empty: send the archive itself, with curl as --data-binary @FILE")
	case bytes.Equal(head, []byte(endMark)):
		return malformed("it is a zip archive without files: build one with `theseus package build`")
	case !bytes.Equal(head, []byte("PK\x03\x04")):
		return malformed("it is not a zip archive, it begins with %q: build one with `theseus package build`", head)
	}
	return nil
}

// unreadable is the error for a directory that could not be read.
func unreadable(err error) error {
	var f *fault
	switch {
	case errors.As(err, &f):
		return fmt.Errorf("read the package: %w", f.err)
	case errors.Is(err, errLongDirectory):
		return tooLarge("%v: build it with `theseus package build`", err)
	}
	return malformed("the zip archive is truncated or damaged (%v): send it again, and compare its sha256 with the builder's", err)
}

// files are the regular files among all, which must be files and directories only.
func files(all []*zip.File, size int64, l Limits) ([]entry, error) {
	if len(all) > l.Entries {
		return nil, tooLarge("it holds %d files, more than %d, the limit: pack what belongs together into one file", len(all), l.Entries)
	}
	var names []string
	var entries []entry
	for _, f := range all {
		if why := unfit(f); why != "" {
			return nil, refused("%q: %s; a package holds only plain files and directories with clean relative names: build it with `theseus package build`", f.Name, why)
		}
		names = append(names, f.Name)
		if !f.Mode().IsDir() {
			entries = append(entries, entry{f.Name, int64(f.UncompressedSize64), int64(f.CompressedSize64), f})
		}
	}
	if first, second := collision(names); second != "" {
		return nil, refused("%q and %q cannot lie side by side on every system: leave one of them out", first, second)
	}
	return entries, l.check(entries, size)
}

// unfit says why f may not be in a package, or "".
func unfit(f *zip.File) string {
	dir := strings.HasSuffix(f.Name, "/")
	switch kind := f.Mode().Type(); {
	case misnamed(strings.TrimSuffix(f.Name, "/")) != "":
		return misnamed(strings.TrimSuffix(f.Name, "/"))
	case kind&fs.ModeSymlink != 0:
		return "it is a link"
	case kind != 0 && kind != fs.ModeDir, (kind == fs.ModeDir) != dir:
		return "it is neither a regular file nor a directory"
	case dir && f.UncompressedSize64 != 0:
		return "it is a directory with contents of its own"
	case f.Flags&1 != 0:
		return "it is encrypted"
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return fmt.Sprintf("it is packed by method %d, neither stored nor deflated", f.Method)
	case f.UncompressedSize64 > 1<<62 || f.CompressedSize64 > 1<<62:
		return "its size is no size"
	}
	return ""
}

package staging

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// unzip reads the directory of a zip file and holds every rule that needs no
// more than it.
func unzip(s *source, l Limits) ([]entry, error) {
	stated, err := s.stated()
	if err != nil {
		return nil, unreadable(Zip, err)
	}
	if stated > uint64(l.Entries) {
		return nil, tooLarge("it holds %d files, more than %d, the limit: pack what belongs together into one file", stated, l.Entries)
	}
	z, err := zip.NewReader(s, s.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below
		return nil, unreadable(Zip, err)
	}
	s.free = true
	return files(z.File, s.size, l)
}

// files are the regular files among all, which must be files and directories only.
func files(all []*zip.File, size int64, l Limits) ([]entry, error) {
	if len(all) > l.Entries {
		return nil, tooLarge("it holds %d files, more than %d, the limit: pack what belongs together into one file", len(all), l.Entries)
	}
	var names []string
	var entries []entry
	for _, f := range all {
		if why := unzipped(f); why != "" {
			return nil, unfit(f.Name, why)
		}
		names = append(names, f.Name)
		if !f.Mode().IsDir() {
			entries = append(entries, entry{name: f.Name, open: f.Open, zipped: f,
				size: int64(f.UncompressedSize64), packed: int64(f.CompressedSize64)})
		}
	}
	if err := disjoint(names); err != nil {
		return nil, err
	}
	return entries, l.check(entries, size)
}

// unzipped says why f may not be in a package, or "".
func unzipped(f *zip.File) string {
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

package staging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
)

// Format is how the files of a package lie in one file.
type Format string

const (
	Zip   Format = "zip"
	TarGz Format = "tar.gz"
)

// ParseFormat is the format called name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains([]Format{Zip, TarGz}, f) {
		return f, nil
	}
	return "", model.Problemf(model.Malformed, "there is no format %q: a package is a %s or a %s", name, Zip, TarGz)
}

// FormatFor is the format that a new package called path should have. What a
// package that is there already has only its content says.
func FormatFor(path string) Format {
	if strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz") {
		return TarGz
	}
	return Zip
}

const (
	zipMark  = "PK\x03\x04"
	gzipMark = "\x1f\x8b"
)

// formatOf tells by content which format an archive has.
func formatOf(s *source) (Format, error) {
	head := make([]byte, min(s.size, 4))
	if _, err := s.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", unreadable("", err)
	}
	switch {
	case s.size == 0:
		return "", malformed("it is empty: send the archive itself, with curl as --data-binary @FILE")
	case bytes.Equal(head, []byte(endMark)):
		return "", malformed("it is a zip archive without files: build one with `theseus package build`")
	case bytes.Equal(head, []byte(zipMark)):
		return Zip, nil
	case bytes.HasPrefix(head, []byte(gzipMark)):
		return TarGz, nil
	}
	return "", malformed("it is neither a zip nor a tar.gz archive, it begins with %q: build one with `theseus package build`", head)
}

// list reads what files an archive of this format holds.
func (f Format) list(ctx context.Context, s *source, l Limits) ([]entry, error) {
	if f == TarGz {
		return untar(ctx, s, l)
	}
	return unzip(s, l)
}

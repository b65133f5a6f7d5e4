package staging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/theseusd/theseus/model"
)

// tarBlock is what all in a tar file is padded to; two of zeros end it.
const tarBlock = 512

// tarball reads a tar.gz archive once from beginning to end. There is no other
// way to know what it holds, so it takes the digests on the way.
type tarball struct {
	source  *source
	limits  Limits
	in      *stream
	tar     *tar.Reader
	buf     []byte
	names   []string
	entries []entry
}

// untar lists the files of a tar.gz archive and holds every rule on them that
// does not need to know what they are for.
func untar(ctx context.Context, s *source, l Limits) ([]entry, error) {
	s.free = true
	in, err := inflate(ctx, s, l)
	if err != nil {
		return nil, unreadable(TarGz, err)
	}
	t := &tarball{source: s, limits: l, in: in, tar: tar.NewReader(in), buf: make([]byte, 256<<10)}
	if err := t.files(); err != nil {
		return nil, t.stopped(err)
	}
	if len(t.names) == 0 {
		return nil, malformed("it is a tar.gz archive without files: build one with `theseus package build`")
	}
	return t.entries, disjoint(t.names)
}

// files reads all files and what may follow them.
func (t *tarball) files() error {
	for {
		end := (t.in.out + tarBlock - 1) / tarBlock * tarBlock // of what was read until here
		h, err := t.tar.Next()
		switch {
		case errors.Is(err, io.EOF):
			return t.end(end)
		case errors.Is(err, tar.ErrHeader) && len(t.names) == 0:
			return malformed("it is neither a zip nor a tar.gz archive, what it unpacks to is not a tar file (%v): build one with `theseus package build`", err)
		case err != nil && !errors.Is(err, tar.ErrInsecurePath): // names are judged below
			return err
		}
		if err := t.file(h); err != nil {
			return err
		}
	}
}

// file judges and reads one file or directory.
func (t *tarball) file(h *tar.Header) error {
	if why := untarred(h); why != "" {
		return unfit(h.Name, why)
	}
	t.names = append(t.names, h.Name)
	if len(t.names) > t.limits.Entries {
		return tooLarge("it holds at least %d files, more than %d, the limit: pack what belongs together into one file", len(t.names), t.limits.Entries)
	}
	t.in.begin(h.Name)
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	e, err := t.entry(h)
	t.entries = append(t.entries, e)
	return err
}

func (t *tarball) entry(h *tar.Header) (entry, error) {
	at := t.in.out
	text := bytes.NewBuffer([]byte{}) // a file without bytes is not the same as none
	kept := io.Discard
	if h.Size <= limitOf(h.Name) {
		kept = text
	}
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(hash, kept), t.tar, t.buf); err != nil {
		return entry{}, fmt.Errorf("%s: %w", h.Name, err)
	}
	sum := digest(hash.Sum(nil))
	return entry{name: h.Name, mode: fs.FileMode(h.Mode).Perm(), size: h.Size, at: at, seen: &sum, text: text.Bytes(),
		open: func() (io.ReadCloser, error) { return t.slice(at, h.Size) }}, nil
}

// end reads what follows the files: the mark of the end, at the least, and
// nothing but zeros. One tool ignores what another would unpack from there.
func (t *tarball) end(last int64) error {
	t.in.begin("what follows the last file")
	_, err := io.CopyBuffer(zeros{}, t.in, t.buf)
	switch {
	case errors.Is(err, errMore) || errors.Is(err, gzip.ErrHeader):
		return malformed("it goes on after the end of the tar.gz archive, and nothing vouches for what is there: build it with `theseus package build`")
	case err != nil:
		return err
	case t.in.out < last+2*tarBlock:
		return io.ErrUnexpectedEOF
	}
	return nil
}

// stopped is the error for an archive that could not be read to its end.
func (t *tarball) stopped(err error) error {
	var p *model.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read the package: %w", err)
	}
	return unreadable(TarGz, err)
}

// errMore is returned for bytes other than zero.
var errMore = errors.New("there is more")

// zeros takes zeros only.
type zeros struct{}

func (zeros) Write(p []byte) (int, error) {
	if rest := bytes.TrimLeft(p, "\x00"); len(rest) > 0 {
		return len(p) - len(rest), errMore
	}
	return len(p), nil
}

// slice is a file in a stream that has not come further than its beginning. What
// is before it is passed over at the first read.
type slice struct {
	in       *stream
	at, left int64 // where it begins, and what is left of it
}

// slice opens a file of its own stream.
func (t *tarball) slice(at, size int64) (io.ReadCloser, error) {
	in, err := inflate(context.Background(), t.source, t.limits)
	if err != nil {
		return nil, err
	}
	return &slice{in: in, at: at, left: size}, nil
}

func (s *slice) Read(p []byte) (int, error) {
	if _, err := io.CopyN(io.Discard, s.in, max(s.at-s.in.out, 0)); err != nil {
		return 0, short(err)
	}
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.in.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if s.left > 0 {
		err = short(err)
	} else if errors.Is(err, io.EOF) {
		err = nil // the next read says so
	}
	return n, err
}

func (s *slice) Close() error { return nil }

// short is err where an end is too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// untarred says why h may not be in a package, or "".
func untarred(h *tar.Header) string {
	dir := strings.HasSuffix(h.Name, "/")
	switch {
	case misnamed(strings.TrimSuffix(h.Name, "/")) != "":
		return misnamed(strings.TrimSuffix(h.Name, "/"))
	case h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink:
		return "it is a link"
	case sparse(h):
		return "it is a sparse file, stored without its holes"
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir, (h.Typeflag == tar.TypeDir) != dir:
		return "it is neither a regular file nor a directory"
	case dir && h.Size != 0:
		return "it is a directory with contents of its own"
	}
	return ""
}

// sparse says whether h is for a file in one of GNU tar's sparse formats, those
// that archive/tar does not know included.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

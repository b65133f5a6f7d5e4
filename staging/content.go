package staging

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/theseusd/theseus/model"
)

// file reads one file of the archive and checks it on the way. That it is
// neither longer nor shorter than the directory of a zip states, archive/zip
// checks (zip/reader.go, checksumReader.Read): it stops at the first byte too many.
type file struct {
	name     string
	unpacked io.ReadCloser
	want     *digest // nil: the digest is not checked
	hash     hash.Hash
}

// open opens e; its bytes must have the digest want, if any.
func open(e entry, want *digest) (*file, error) {
	r, err := e.open()
	if err != nil {
		return nil, damaged(e.name, err)
	}
	return &file{name: e.name, unpacked: r, want: want, hash: sha256.New()}, nil
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.unpacked.Read(p)
	f.hash.Write(p[:n])
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, damaged(f.name, err)
	case f.want != nil && digest(f.hash.Sum(nil)) != *f.want:
		return n, changed(f.name)
	}
	return n, io.EOF
}

func (f *file) Close() error { return f.unpacked.Close() }

func damaged(name string, err error) error {
	var medium *fault
	if errors.As(err, &medium) {
		return fmt.Errorf("read the package: %s: %w", name, medium.err)
	}
	return refused("%s cannot be unpacked (%v): the archive is damaged; send it again, and compare its sha256 with the builder's", name, err)
}

// patient reads until its context is over.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read the package: %w", err)
	}
	return p.r.Read(b)
}

func changed(name string) *model.Problem {
	return refused("%s does not have the checksum that %s states: it was changed or damaged; get the package again from its builder", name, sumsName)
}

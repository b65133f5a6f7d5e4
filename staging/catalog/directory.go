package catalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/theseusd/theseus/model"
)

// directory is a catalog on a disk. Links that lead out of it are not followed.
type directory string

func (d directory) String() string { return string(d) }

func (d directory) open(ctx context.Context, file string, from int64, _ string) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, size, err := d.file(file)
	if err != nil {
		return nil, err
	}
	from = min(from, size)
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &stream{ReadCloser: &local{ctx, f}, from: from, size: size}, nil
}

func (d directory) file(name string) (*os.File, int64, error) {
	root, err := os.OpenRoot(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, model.Problemf(model.NotFound, "there is no directory %s", d)
	}
	if err != nil {
		return nil, 0, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe would block
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, model.Problemf(model.NotFound, "there is no %s", name)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = model.Problemf(model.Refused, "%s is not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// local reads until its context is over.
type local struct {
	ctx context.Context
	*os.File
}

func (l *local) Read(b []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.File.Read(b)
}

package staging

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// VerifyFile opens and verifies the package in the file path.
func VerifyFile(ctx context.Context, path string, l Limits, t Trust) (Facts, error) {
	f, size, err := openFile(path)
	if err != nil {
		return Facts{}, err
	}
	defer f.Close()
	p, err := Open(f, size, l)
	if err != nil {
		return Facts{}, err
	}
	return p.Verify(ctx, t)
}

func openFile(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("read the package: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("read the package: %w", err)
	}
	return f, info.Size(), nil
}

// writeFile makes path hold what fill writes: whole, on the disk and under its
// name, or not at all.
func writeFile(path string, mode os.FileMode, fill func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // a second time, perhaps: the error in hand is the one that matters
			os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// exactly fills a file with text.
func exactly(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

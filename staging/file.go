package staging

import (
	"context"
	"fmt"
	"io"
	"os"
)

// VerifyFile opens and verifies the package in the file path.
func VerifyFile(ctx context.Context, path string, l Limits, t Trust) (Facts, error) {
	f, size, err := openFile(path)
	if err != nil {
		return Facts{}, err
	}
	defer f.Close()
	p, err := OpenContext(ctx, f, size, l)
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

// exactly fills a file with text.
func exactly(text []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
}

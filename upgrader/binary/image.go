package binary

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

const imagePrefix = "sha256:"

// RunningImage is sha256:<hex> of the executable that this process runs, even
// if its file was replaced or removed since.
func RunningImage() (string, error) { return FileImage(running) }

// FileImage is sha256:<hex> of the file at path.
func FileImage(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("hash an executable: %w", err)
	}
	defer f.Close()
	return imageOf(f)
}

func imageOf(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash an executable: %w", err)
	}
	return imagePrefix + hex.EncodeToString(h.Sum(nil)), nil
}

// cancellable stops a long copy between two reads.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

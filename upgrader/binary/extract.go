package binary

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/internal/durable"
)

// looks is what an executable has beside its bytes.
type looks struct {
	uid, gid uint32
	mode     uint32 // permission bits, setuid and the like included
	caps     Capabilities
}

func (l looks) String() string {
	return fmt.Sprintf("owner %d:%d, mode %#o, capabilities %q", l.uid, l.gid, l.mode, l.caps)
}

// looks are those of the executable at the path.
func (o *Own) looks() (looks, error) { return looksOf(o.Path) }

// runningLooks are those of the image that runs, replaced or not.
func runningLooks() (looks, error) {
	var st unix.Stat_t
	if err := unix.Stat(running, &st); err != nil {
		return looks{}, fmt.Errorf("look at the running executable: %w", err)
	}
	caps, err := runningCapabilities()
	return looks{st.Uid, st.Gid, st.Mode & 0o7777, caps}, err
}

func looksOf(path string) (looks, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return looks{}, fmt.Errorf("look at %s: %w", path, err)
	}
	caps, err := ReadCapabilities(path)
	return looks{st.Uid, st.Gid, st.Mode & 0o7777, caps}, err
}

// give gives path these looks. The order counts: the kernel drops setuid at a
// change of owner, and capabilities at that and at every write.
func (l looks) give(ctx context.Context, path string) error {
	has, err := looksOf(path)
	if err != nil {
		return err
	}
	if has.uid != l.uid || has.gid != l.gid {
		if err := os.Lchown(path, int(l.uid), int(l.gid)); err != nil {
			return fmt.Errorf("give an executable the owner %d:%d: %w", l.uid, l.gid, err)
		}
	}
	if err := unix.Chmod(path, l.mode); err != nil {
		return fmt.Errorf("give an executable the mode %#o: %w", l.mode, err)
	}
	return l.caps.give(ctx, path)
}

// Extract lays the executable with this image (sha256:<hex>) beside the own one,
// with the same owner, mode and capabilities, synced, and answers its path. One
// that is there already and right is kept, and r is not read. May be called
// again; bytes that are not the image leave nothing behind.
func (o *Own) Extract(ctx context.Context, r io.Reader, image string) (string, error) {
	o.files.Lock()
	defer o.files.Unlock()
	want, err := o.looks()
	if err != nil {
		return "", err
	}
	next := o.Next(image)
	if o.whole(next, image, want) {
		return next, nil
	}
	part, err := o.fill(ctx, r, image)
	if err != nil {
		return "", fmt.Errorf("extract the next executable: %w", err)
	}
	defer os.Remove(part)
	if err := want.give(ctx, part); err != nil {
		return "", err
	}
	if err := syncFile(part); err != nil {
		return "", err
	}
	if err := os.Rename(part, next); err != nil {
		return "", fmt.Errorf("extract the next executable: %w", err)
	}
	return next, durable.SyncDir(o.dir())
}

func (o *Own) whole(path, image string, want looks) bool {
	has, err := looksOf(path)
	if err != nil || has != want {
		return false
	}
	got, err := FileImage(path)
	return err == nil && got == image
}

// fill writes r into a temp file while hashing it.
func (o *Own) fill(ctx context.Context, r io.Reader, image string) (path string, err error) {
	f, err := os.CreateTemp(o.dir(), filepath.Base(o.beside("part-*")))
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), cancellable{ctx, r}); err != nil {
		return "", err
	}
	if got := imagePrefix + hex.EncodeToString(h.Sum(nil)); got != image {
		return "", fmt.Errorf("its bytes are %s, and %s was wanted", got, image)
	}
	return f.Name(), f.Sync()
}

// syncFile makes owner, mode and capabilities durable as well as bytes.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync an executable: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

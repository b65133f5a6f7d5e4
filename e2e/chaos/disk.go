package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/theseusd/theseus/e2e"
)

// small puts dir, with what is in it, on a file system of its own.
func small(dir string) error {
	kept, err := content(dir)
	if err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=192m,mode=755"); err != nil {
		return fmt.Errorf("mount a small file system on %s: %w", dir, err)
	}
	for name, data := range kept {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func content(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// filler is what fills a disk.
func filler(dir string) string { return filepath.Join(dir, "filler") }

// fill fills the file system of dir to its last byte; spare undoes it.
func fill(dir string) error {
	f, err := os.Create(filler(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	for piece := 1 << 20; piece > 0; {
		_, err := f.Write(make([]byte, piece))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			piece /= 16
		case err != nil:
			return fmt.Errorf("fill %s: %w", dir, err)
		}
	}
	return nil
}

func spare(dir string) error {
	err := os.Remove(filler(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// unmount takes the small file systems of m away.
func unmount(m *e2e.Member) {
	for _, dir := range []string{m.Data(), m.Bin()} {
		syscall.Unmount(dir, syscall.MNT_DETACH)
	}
}

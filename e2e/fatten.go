package e2e

import (
	"archive/zip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

const fillingName = "assets/filling"

// Fatten writes the archive in from to a file, with size bytes more that nothing
// can compress. What it makes is not signed.
func Fatten(from, to string, size int64) error {
	in, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer in.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	out := zip.NewWriter(f)
	for _, entry := range in.File {
		switch entry.Name {
		case "sha256sums":
			err = addSum(out, entry, size)
		case "sha256sums.minisig":
		default:
			err = out.Copy(entry)
		}
		if err != nil {
			return fmt.Errorf("fatten %s: %w", entry.Name, err)
		}
	}
	return errors.Join(fill(out, size), out.Close(), f.Close())
}

// addSum copies sha256sums and adds the line of the filling.
func addSum(out *zip.Writer, sums *zip.File, size int64) error {
	r, err := sums.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := out.Create(sums.Name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, filling(size)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%x  %s\n", h.Sum(nil), fillingName)
	return err
}

func fill(out *zip.Writer, size int64) error {
	w, err := out.CreateHeader(&zip.FileHeader{Name: fillingName, Method: zip.Store})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, filling(size))
	return err
}

// filling is size bytes that look random and are the same each time.
func filling(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), size)
}

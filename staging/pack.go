package staging

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"time"
)

// packer writes the files of an archive one after the other.
type packer interface {
	// create begins a file of size bytes. What it returns is good until the next
	// file begins.
	create(name string, mode fs.FileMode, size int64) (io.Writer, error)
	Close() error
}

func newPacker(w io.Writer, f Format) packer {
	if f == TarGz {
		gz := gzip.NewWriter(w)
		return tarPacker{tar.NewWriter(gz), gz}
	}
	return zipPacker{zip.NewWriter(w)}
}

// epoch is the time of every file, so that equal input makes equal bytes. It is
// the earliest that zip knows.
func epoch() time.Time { return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC) }

type zipPacker struct{ *zip.Writer }

// create stores the file, not deflated: every member reads the whole package to
// verify it and again to extract, which is eight to ten times faster so
// (BenchmarkVerify), and that costs more than sending twice the bytes.
func (z zipPacker) create(name string, mode fs.FileMode, _ int64) (io.Writer, error) {
	h := zip.FileHeader{Name: name, Method: zip.Store, Modified: epoch()}
	h.SetMode(mode)
	return z.CreateHeader(&h)
}

// tarPacker deflates: who wants the bytes stored takes a zip.
type tarPacker struct {
	*tar.Writer
	gz *gzip.Writer
}

func (t tarPacker) create(name string, mode fs.FileMode, size int64) (io.Writer, error) {
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: epoch()}
	return t.Writer, t.WriteHeader(&h)
}

func (t tarPacker) Close() error { return errors.Join(t.Writer.Close(), t.gz.Close()) }

package staging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"testing"
)

var formats = []Format{Zip, TarGz}

// in are the bytes of the archive in a format.
func (d *draft) in(t testing.TB, f Format) []byte {
	t.Helper()
	if f == Zip {
		return d.bytes(t)
	}
	return zipped(t, d.tar(t))
}

// tar is the archive as a tar file, not compressed yet.
func (d *draft) tar(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range d.all() {
		out.Write(p.tar())
	}
	out.Write(make([]byte, 2*tarBlock))
	return out.Bytes()
}

// tar is a part as a tar file has it, written by hand so that it can be wrong.
func (p part) tar() []byte {
	var out bytes.Buffer
	if len(p.name) > 100 {
		p.pax += record("path", p.name)
		p.name = "long"
	}
	if p.mode == 0 {
		p.mode = 0o644
	}
	flag := map[fs.FileMode]byte{
		0: tar.TypeReg, fs.ModeDir: tar.TypeDir, fs.ModeSymlink: tar.TypeSymlink, fs.ModeNamedPipe: tar.TypeFifo,
		fs.ModeDevice | fs.ModeCharDevice: tar.TypeChar,
	}[p.mode.Type()]
	if p.flag != 0 {
		flag = p.flag
	}
	if len(p.pax) > 0 {
		out.Write(block("pax", tar.TypeXHeader, 0o644, len(p.pax)))
		out.Write(padded(p.pax))
	}
	size := len(p.body)
	if p.stated != 0 {
		size = p.stated
	}
	out.Write(block(p.name, flag, p.mode.Perm(), size))
	out.Write(padded(p.body))
	return out.Bytes()
}

// record is a line of an extended header. It begins with its own length.
func record(key, value string) string {
	line := fmt.Sprintf(" %s=%s\n", key, value)
	for n := len(line); ; n++ {
		if whole := fmt.Sprint(n) + line; len(whole) == n {
			return whole
		}
	}
}

// block is a header as POSIX has it (pax, "ustar Interchange Format").
func block(name string, flag byte, mode fs.FileMode, size int) []byte {
	b := make([]byte, tarBlock)
	copy(b[0:100], name)
	copy(b[100:], fmt.Sprintf("%07o", mode))
	copy(b[108:], "0000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o", size))
	copy(b[136:], "00000000000\x00        ")
	b[156] = flag
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func padded(body string) []byte {
	return append([]byte(body), make([]byte, (tarBlock-len(body)%tarBlock)%tarBlock)...)
}

func zipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

package store

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever comes, it makes the files of a generation or none.
func FuzzUnpack(f *testing.F) {
	sum := newCargo(1, 1)
	stream := func(h streamHeader, body string) []byte {
		var b bytes.Buffer
		if err := pack(&b, h, func(w io.Writer) error {
			_, err := io.WriteString(w, body)
			return err
		}); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	f.Add(stream(streamHeader{Format: 1, Files: []streamFile{{recordsFile, 3}, {sum.digest, 2}}}, "recar"))
	f.Add(stream(streamHeader{Format: 1, Files: []streamFile{{recordsFile, 3}, {"../../x", 2}}}, "recar"))
	f.Add(stream(streamHeader{Format: 2}, ""))
	f.Add(binary.BigEndian.AppendUint32(nil, 1<<31))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		inner := filepath.Join(dir, "inner")
		if err := os.MkdirAll(filepath.Join(inner, archivesDir), 0o700); err != nil {
			t.Fatal(err)
		}
		h, err := unpack(bytes.NewReader(raw), inner)
		for _, path := range filesBelow(t, dir) {
			name := strings.TrimSuffix(filepath.Base(path), fileSuffix)
			if path != filepath.Join("inner", recordsFile) &&
				(filepath.Dir(path) != filepath.Join("inner", archivesDir) || !validDigest(name)) {
				t.Errorf("made %s", path)
			}
		}
		if err == nil && h.size() > int64(len(raw))+streamMaxHeader {
			t.Errorf("read %d bytes out of %d", h.size(), len(raw))
		}
	})
}

package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/internal/durable"
)

// A snapshot on the wire is a header in JSON after its length in 4 bytes, the
// files it lists one after the other, and the CRC-32C of all that in 4 bytes.
// Numbers are big-endian. Members of two versions exchange it, so a change
// needs a new format number, and the cluster version that allows it.
const (
	streamFormat    = 1
	streamMaxHeader = 1 << 20
	streamEnds      = 4 + 4 // length and sum
)

type streamHeader struct {
	Format int          `json:"format"`
	Index  uint64       `json:"index"`
	Term   uint64       `json:"term"`
	Files  []streamFile `json:"files"`
}

type streamFile struct {
	Name string `json:"name"` // records.db, or the digest of an archive
	Size int64  `json:"size"`
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// size of the whole stream.
func (h streamHeader) size() int64 {
	n := int64(streamEnds + len(h.encode()))
	for _, f := range h.Files {
		n += f.Size
	}
	return n
}

func (h streamHeader) encode() []byte {
	raw, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("snapshot header: %v", err)) // numbers and hex
	}
	return raw
}

// pack writes a stream; body writes the files in the order of the header.
func pack(w io.Writer, h streamHeader, body func(io.Writer) error) error {
	sum := crc32.New(castagnoli())
	both := io.MultiWriter(w, sum)
	header := h.encode()
	if _, err := both.Write(binary.BigEndian.AppendUint32(nil, uint32(len(header)))); err != nil {
		return err
	}
	if _, err := both.Write(header); err != nil {
		return err
	}
	if err := body(both); err != nil {
		return err
	}
	_, err := w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// unpack reads a stream into the files of a generation in dir, which is there
// and empty, and syncs each.
func unpack(r io.Reader, dir string) (streamHeader, error) {
	sum := crc32.New(castagnoli())
	both := io.TeeReader(r, sum)
	h, err := readHeader(both)
	if err != nil {
		return h, err
	}
	for _, f := range h.Files {
		if err := unpackFile(both, dir, f); err != nil {
			return h, err
		}
	}
	return h, checkEnd(r, sum.Sum32())
}

func readHeader(r io.Reader) (h streamHeader, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return h, fmt.Errorf("read its header: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > streamMaxHeader {
		return h, fmt.Errorf("its header of %d bytes is too long", n)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(r, raw); err != nil {
		return h, fmt.Errorf("read its header: %w", err)
	}
	return decodeStreamHeader(raw)
}

// decodeStreamHeader looks at the format first: what else a later one holds
// cannot be known.
func decodeStreamHeader(raw []byte) (h streamHeader, err error) {
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &format); err != nil {
		return h, fmt.Errorf("read its header: %w", err)
	}
	if format.Format != streamFormat {
		return h, fmt.Errorf("its format is %d, this version knows %d", format.Format, streamFormat)
	}
	if err := strict(raw, &h); err != nil {
		return h, fmt.Errorf("read its header: %w", err)
	}
	return h, h.check()
}

// check allows the records first, then archives, each once: nothing else may
// become a file.
func (h streamHeader) check() error {
	if len(h.Files) == 0 || h.Files[0].Name != recordsFile {
		return errors.New("its header does not begin with the records")
	}
	seen := map[string]bool{recordsFile: true}
	for i, f := range h.Files {
		if i > 0 && (seen[f.Name] || !validDigest(f.Name)) || f.Size < 0 {
			return fmt.Errorf("its header lists a file %q of %d bytes", f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	return nil
}

func unpackFile(r io.Reader, dir string, f streamFile) error {
	point, path := "install-records", filepath.Join(dir, recordsFile)
	if f.Name != recordsFile {
		point, path = "install-archive", filepath.Join(dir, archivesDir, f.Name+fileSuffix)
	}
	return crash.Point(point, func() error {
		return durable.Create(path, 0o600, func(w io.Writer) error {
			_, err := io.CopyN(w, r, f.Size)
			return early(err)
		})
	})
}

func checkEnd(r io.Reader, sum uint32) error {
	var end [4]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return fmt.Errorf("read its sum: %w", early(err))
	}
	if binary.BigEndian.Uint32(end[:]) != sum {
		return errors.New("its sum does not fit its content")
	}
	if n, _ := r.Read(end[:1]); n > 0 {
		return errors.New("there are bytes after its end")
	}
	return nil
}

// early is io.ErrUnexpectedEOF for a stream that ends where more should come.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

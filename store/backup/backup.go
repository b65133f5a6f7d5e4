// Package backup is the format of a backup: lines of JSON, a header, one line for
// each record in the order of their places, and a trailer with the number of
// records and the SHA-256 of all bytes before it. It needs no store, so that a
// backup can be verified anywhere.
package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/theseusd/theseus/model"
)

const (
	// Format is what a Writer writes, and the only one there is.
	Format = 1
	// PlaceLimit bounds the place of a record.
	PlaceLimit = 1024
	// lineLimit bounds a line, far above the largest record that a command can make.
	lineLimit = 64 << 20
)

// The kinds of records that a backup holds.
const (
	History  = "history"
	Profiles = "profiles"
	Users    = "users"
)

// Kinds are all of them, in the order in which they are in a backup.
func Kinds() []string { return []string{History, Profiles, Users} }

// Record is one record: a line of a backup.
type Record struct {
	Bucket string          `json:"bucket"`
	Key    []byte          `json:"key"`
	Value  json.RawMessage `json:"value"`
}

// Place orders records, and is where one lies until a restore is committed.
func (r Record) Place() []byte {
	return append([]byte(r.Bucket+"\x00"), r.Key...)
}

// Digest adds r to a digest of records. Each part goes after its length, so that
// no two lists look alike.
func (r Record) Digest(sum hash.Hash) {
	for _, part := range [][]byte{r.Place(), r.Value} {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		sum.Write(part)
	}
}

// strict decodes one JSON value and refuses unknown fields and trailing bytes.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more bytes after the value")
	}
	return nil
}

type trailer struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

// Writer writes a backup. The first error sticks.
type Writer struct {
	to      *bufio.Writer
	sum     hash.Hash
	records int
	err     error
}

// NewWriter begins a backup with its header.
func NewWriter(w io.Writer, h model.BackupHeader) *Writer {
	b := &Writer{to: bufio.NewWriter(w), sum: sha256.New()}
	b.line(h)
	return b
}

// Add writes a record, whose place is behind that of the one before.
func (b *Writer) Add(r Record) error {
	b.records++
	b.line(r)
	return b.err
}

// Close ends the backup and answers the SHA-256 in its last line.
func (b *Writer) Close() (sum string, err error) {
	sum = hex.EncodeToString(b.sum.Sum(nil))
	b.line(trailer{Records: b.records, SHA256: sum})
	if b.err == nil {
		b.err = b.to.Flush()
	}
	return sum, b.err
}

func (b *Writer) line(v any) {
	if b.err != nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		b.err = fmt.Errorf("write the backup: %w", err)
		return
	}
	raw = append(raw, '\n')
	b.sum.Write(raw)
	_, b.err = b.to.Write(raw)
}

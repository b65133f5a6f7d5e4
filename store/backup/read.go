package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/theseusd/theseus/model"
)

// Read reads a backup to its end, checks each line and hands each record to
// f, which may be nil. What it answers is good only without an error: what f was
// handed may have been of a damaged file.
func Read(r io.Reader, f func(model.BackupHeader, Record) error) (model.BackupContents, error) {
	b := &reader{from: bufio.NewReaderSize(r, 64<<10), sum: sha256.New(), digest: sha256.New()}
	err := b.header()
	for more := true; err == nil && more; {
		more, err = b.next(f)
	}
	if err != nil {
		return b.found, fmt.Errorf("read the backup, line %d: %w", b.lines, err)
	}
	return b.found, nil
}

type reader struct {
	from   *bufio.Reader
	sum    hash.Hash // of the lines before this one
	digest hash.Hash
	lines  int
	last   []byte // place of the record before
	found  model.BackupContents
}

// line is the next one without its end; the last one has an end too.
func (b *reader) line() (line []byte, err error) {
	b.lines++
	for {
		part, err := b.from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= lineLimit:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("it is longer than %d bytes", lineLimit)
		case errors.Is(err, io.EOF):
			return nil, errors.New("the file ends before its end: it is cut short")
		}
		return line, err
	}
}

func (b *reader) header() error {
	line, err := b.line()
	if err != nil {
		return err
	}
	var peek struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(line, &peek); err != nil || peek.Format == 0 {
		return errors.New("it is no backup: it does not begin with the header of one")
	}
	if peek.Format != Format {
		return fmt.Errorf("format %d is not known to this version, which reads %d: use a later version", peek.Format, Format)
	}
	if err := strict(line, &b.found.Header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	b.sum.Write(line)
	return nil
}

// next reads a record, or the trailer and the end.
func (b *reader) next(f func(model.BackupHeader, Record) error) (more bool, err error) {
	line, err := b.line()
	if err != nil {
		return false, err
	}
	if !bytes.HasPrefix(line, []byte(`{"bucket":`)) {
		return false, b.end(line)
	}
	var r Record
	if err := strict(line, &r); err != nil {
		return false, err
	}
	if err := b.take(r); err != nil {
		return false, fmt.Errorf("record %s/%s: %w", r.Bucket, r.Key, err)
	}
	b.sum.Write(line)
	if f == nil {
		return true, nil
	}
	return true, f(b.found.Header, r)
}

func (b *reader) take(r Record) error {
	place := r.Place()
	if bytes.Compare(b.last, place) >= 0 {
		return errors.New("it is out of order")
	}
	if err := readStrictly(r); err != nil {
		return err
	}
	b.last = place
	b.found.Records++
	switch r.Bucket {
	case Profiles:
		b.found.Profiles++
	case Users:
		b.found.Users++
	}
	r.Digest(b.digest)
	return nil
}

// readStrictly reads a record as strictly as the store itself does.
func readStrictly(r Record) error {
	if len(r.Key) == 0 || len(r.Place()) > PlaceLimit {
		return errors.New("its key is empty or too long")
	}
	switch r.Bucket {
	case History:
		return strict(r.Value, &model.Upgrade{})
	case Profiles:
		return named(r, func(p *model.Profile) string { return p.Name })
	case Users:
		return named(r, func(u *model.User) string { return u.Name })
	}
	return errors.New("records of this kind do not belong into a backup")
}

// named reads a record that lies under its own name.
func named[R any](r Record, name func(*R) string) error {
	var v R
	if err := strict(r.Value, &v); err != nil {
		return err
	}
	if name(&v) != string(r.Key) {
		return fmt.Errorf("it lies under another name than %q", name(&v))
	}
	return nil
}

func (b *reader) end(line []byte) error {
	var t trailer
	if err := strict(line, &t); err != nil {
		return err
	}
	b.found.SHA256, b.found.Digest = hex.EncodeToString(b.sum.Sum(nil)), hex.EncodeToString(b.digest.Sum(nil))
	switch {
	case t.SHA256 != b.found.SHA256:
		return fmt.Errorf("the file is damaged: its lines have SHA-256 %s, and its end says %s", b.found.SHA256, t.SHA256)
	case t.Records != b.found.Records:
		return fmt.Errorf("the file is damaged: it has %d records, and its end says %d", b.found.Records, t.Records)
	}
	if _, err := b.from.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end")
	}
	return nil
}

// Peek reads the first and the last line of a backup, and nothing between.
func Peek(r io.ReaderAt, size int64) (h model.BackupHeader, sum string, err error) {
	b := &reader{from: bufio.NewReader(io.NewSectionReader(r, 0, size)), sum: sha256.New()}
	if err := b.header(); err != nil {
		return h, "", fmt.Errorf("read the header of the backup: %w", err)
	}
	tail := make([]byte, min(size, tailSize))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return h, "", fmt.Errorf("read the end of the backup: %w", err)
	}
	tail = bytes.TrimSuffix(tail, []byte("\n"))
	var t trailer
	if err := strict(tail[bytes.LastIndexByte(tail, '\n')+1:], &t); err != nil {
		return h, "", fmt.Errorf("read the end of the backup: %w", err)
	}
	return b.found.Header, t.SHA256, nil
}

// tailSize is more than a trailer takes.
const tailSize = 256

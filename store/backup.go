package store

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

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// A backup is lines of JSON: a header, one line for each record in the order of
// their places, and a trailer with the number of records and the SHA-256 of all
// bytes before it.

const (
	// BackupFormat is the format that WriteBackup writes, and the only one there is.
	BackupFormat = 1
	// backupLine bounds a line, far above the largest record that a command can make.
	backupLine = 64 << 20
)

// BackupRecord is one record: a line of a backup.
type BackupRecord struct {
	Bucket string          `json:"bucket"`
	Key    []byte          `json:"key"`
	Value  json.RawMessage `json:"value"`
}

// place orders records, and is where one lies until a restore is committed.
func (r BackupRecord) place() []byte {
	return append([]byte(r.Bucket+"\x00"), r.Key...)
}

type backupTrailer struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

// backedUp says whether the records of a bucket belong into a backup. What is
// left out belongs to this cluster and its members, or is a secret: its identity
// with the CA's key, members, tokens, what is under way, answers.
func backedUp(bucket []byte) bool {
	for _, name := range carriedBuckets() {
		if bytes.Equal(bucket, name) {
			return true
		}
	}
	return false
}

// carriedBuckets are in the order of their names, as the records in a backup.
func carriedBuckets() [][]byte { return [][]byte{bucketHistory, bucketProfiles, bucketUsers} }

// WriteBackup writes the records of one moment to w and answers their SHA-256.
func (v *View) WriteBackup(w io.Writer, h model.BackupHeader) (sum string, err error) {
	b := &backupWriter{to: bufio.NewWriter(w), sum: sha256.New()}
	b.line(h)
	for _, bucket := range carriedBuckets() {
		if b.err == nil {
			b.err = v.tx.Bucket(bucket).ForEach(func(key, value []byte) error {
				b.records++
				b.line(BackupRecord{Bucket: string(bucket), Key: key, Value: value})
				return b.err
			})
		}
	}
	sum = hex.EncodeToString(b.sum.Sum(nil))
	b.line(backupTrailer{Records: b.records, SHA256: sum})
	if b.err == nil {
		b.err = b.to.Flush()
	}
	return sum, b.err
}

type backupWriter struct {
	to      *bufio.Writer
	sum     hash.Hash
	records int
	err     error
}

func (b *backupWriter) line(v any) {
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

// ReadBackup reads a backup to its end, checks each line and hands each record to
// f, which may be nil. What it answers is good only without an error: what f was
// handed may have been of a damaged file.
func ReadBackup(r io.Reader, f func(model.BackupHeader, BackupRecord) error) (model.BackupContents, error) {
	b := &backupReader{from: bufio.NewReaderSize(r, 64<<10), sum: sha256.New(), digest: sha256.New()}
	err := b.header()
	for more := true; err == nil && more; {
		more, err = b.next(f)
	}
	if err != nil {
		return b.found, fmt.Errorf("read the backup, line %d: %w", b.lines, err)
	}
	return b.found, nil
}

type backupReader struct {
	from   *bufio.Reader
	sum    hash.Hash // of the lines before this one
	digest hash.Hash
	lines  int
	last   []byte // place of the record before
	found  model.BackupContents
}

// line is the next one without its end; the last one has an end too.
func (b *backupReader) line() (line []byte, err error) {
	b.lines++
	for {
		part, err := b.from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= backupLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("it is longer than %d bytes", backupLine)
		case errors.Is(err, io.EOF):
			return nil, errors.New("the file ends before its end: it is cut short")
		}
		return line, err
	}
}

func (b *backupReader) header() error {
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
	if peek.Format != BackupFormat {
		return fmt.Errorf("format %d is not known to this version, which reads %d: use a later version", peek.Format, BackupFormat)
	}
	if err := strict(line, &b.found.Header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	b.sum.Write(line)
	return nil
}

// next reads a record, or the trailer and the end.
func (b *backupReader) next(f func(model.BackupHeader, BackupRecord) error) (more bool, err error) {
	line, err := b.line()
	if err != nil {
		return false, err
	}
	if !bytes.HasPrefix(line, []byte(`{"bucket":`)) {
		return false, b.trailer(line)
	}
	var r BackupRecord
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

func (b *backupReader) take(r BackupRecord) error {
	place := r.place()
	if bytes.Compare(b.last, place) >= 0 {
		return errors.New("it is out of order")
	}
	if err := readBackedUp(r); err != nil {
		return err
	}
	b.last = place
	b.found.Records++
	switch r.Bucket {
	case string(bucketProfiles):
		b.found.Profiles++
	case string(bucketUsers):
		b.found.Users++
	}
	addSized(b.digest, place, r.Value)
	return nil
}

// readBackedUp reads a record as strictly as the store itself does.
func readBackedUp(r BackupRecord) error {
	if len(r.Key) == 0 || len(r.place()) > keyLimit {
		return errors.New("its key is empty or too long")
	}
	switch r.Bucket {
	case string(bucketHistory):
		return decodeRecord(bucketHistory, r.Key, r.Value, &model.Upgrade{})
	case string(bucketProfiles):
		return named(r, bucketProfiles, func(p *model.Profile) string { return p.Name })
	case string(bucketUsers):
		return named(r, bucketUsers, func(u *model.User) string { return u.Name })
	}
	return errors.New("records of this kind do not belong into a backup")
}

// named reads a record that lies under its own name.
func named[R any](r BackupRecord, bucket []byte, name func(*R) string) error {
	var v R
	if err := decodeRecord(bucket, r.Key, r.Value, &v); err != nil {
		return err
	}
	if name(&v) != string(r.Key) {
		return fmt.Errorf("it lies under another name than %q", name(&v))
	}
	return nil
}

func (b *backupReader) trailer(line []byte) error {
	var t backupTrailer
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

// RecordsDigest is the SHA-256 of what a backup of these records holds, without
// who made it and when: equal digests are equal contents.
func (v *View) RecordsDigest() (string, error) { return carriedDigest(v.tx) }

func carriedDigest(tx *bolt.Tx) (string, error) {
	sum := sha256.New()
	for _, bucket := range carriedBuckets() {
		err := tx.Bucket(bucket).ForEach(func(key, value []byte) error {
			addSized(sum, BackupRecord{Bucket: string(bucket), Key: key}.place(), value)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

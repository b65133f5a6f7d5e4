package staging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// fault is an error of the medium that an archive is read from. It tells "this
// disk is broken" from "this archive is": only the latter is the sender's.
type fault struct{ err error }

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// errLongDirectory is returned by reads beyond the share of the zip directory.
var errLongDirectory = errors.New("the list of its files is too long")

// errOutside is returned by reads that a lying directory sends past the archive:
// what the medium would make of them is not for it to decide.
var errOutside = errors.New("its list of files points outside of it")

// source is the archive as archive/zip reads it. While the directory is being
// read it gives out no more than left bytes: archive/zip of Go 1.26 parses every
// header that it finds before it compares their number with the one stated
// (zip/reader.go, Reader.init), which would cost memory without end.
type source struct {
	r    io.ReaderAt
	size int64
	left int64 // until free is set, by one goroutine
	free bool  // the directory has been read: no bound any more
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if !s.free {
		if s.left < int64(len(p)) {
			return 0, errLongDirectory
		}
		s.left -= int64(len(p))
	}
	if off < 0 || off > s.size {
		return 0, errOutside
	}
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &fault{err}
	}
	return n, err
}

// What marks the end of a zip file, by its specification (APPNOTE 4.3.14 to 16).
const (
	endMark       = "PK\x05\x06" // 22 bytes and a comment; the count at 10
	locatorMark   = "PK\x06\x07" // 20 bytes before the end, if it is zip64
	endMark64     = "PK\x06\x06" // where the locator says; the count at 32
	endLength     = 22
	locatorLength = 20
	tailLength    = 65 << 10 // as far back as archive/zip looks for the end
)

// stated is the number of entries that the end of a zip file states, 0 if it has
// no end. archive/zip makes room for that many before it reads the first.
func (s *source) stated() (uint64, error) {
	tail := make([]byte, min(s.size, tailLength))
	if _, err := s.ReadAt(tail, s.size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	at := bytes.LastIndex(tail, []byte(endMark))
	for at >= 0 && !endsAt(tail, at) {
		at = bytes.LastIndex(tail[:at], []byte(endMark))
	}
	if at < 0 {
		return 0, nil
	}
	count := uint64(binary.LittleEndian.Uint16(tail[at+10:]))
	if at < locatorLength || !bytes.HasPrefix(tail[at-locatorLength:], []byte(locatorMark)) {
		return count, nil
	}
	count64, err := s.stated64(int64(binary.LittleEndian.Uint64(tail[at-locatorLength+8:])))
	return max(count, count64), err
}

// endsAt says whether the end record at tail[at:] and its comment fit.
func endsAt(tail []byte, at int) bool {
	rest := tail[at:]
	return len(rest) >= endLength && endLength+int(binary.LittleEndian.Uint16(rest[20:])) <= len(rest)
}

func (s *source) stated64(off int64) (uint64, error) {
	var end [56]byte
	if _, err := s.ReadAt(end[:], off); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !bytes.HasPrefix(end[:], []byte(endMark64)) {
		return 0, nil
	}
	return binary.LittleEndian.Uint64(end[32:]), nil
}

package staging

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
)

// inflating is how many packed bytes may have been read for what is not given
// out yet: compress/flate unpacks a window of 32 KiB at a time.
const inflating = 40 << 10

// stream is a gzip file as it unpacks, from its beginning. It stops where its
// context ends and where the ratio gets too high.
type stream struct {
	ctx   context.Context
	in    *io.SectionReader
	ahead *bufio.Reader // over in; being an io.ByteReader, it is not read beyond need
	gz    *gzip.Reader
	ratio int64

	out     int64  // bytes unpacked so far
	name    string // of the file that began at
	fromOut int64  // so many bytes unpacked
	fromIn  int64  // and so many read
}

// inflate begins to unpack s. The members of a gzip file are read as one, as
// RFC 1952, 2.2 has it: pigz and others write many.
func inflate(ctx context.Context, s *source, l Limits) (*stream, error) {
	in := io.NewSectionReader(s, 0, s.size)
	ahead := bufio.NewReaderSize(in, 64<<10)
	gz, err := gzip.NewReader(ahead)
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, in: in, ahead: ahead, gz: gz, ratio: max(l.Ratio, 1)}, nil
}

// begin says that the file called name begins here.
func (s *stream) begin(name string) { s.name, s.fromOut, s.fromIn = name, s.out, s.read() }

// read is how many packed bytes were used so far.
func (s *stream) read() int64 {
	at, err := s.in.Seek(0, io.SeekCurrent)
	if err != nil {
		panic("asking a section where it is: " + err.Error()) // it cannot fail
	}
	return at - int64(s.ahead.Buffered())
}

func (s *stream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.gz.Read(p)
	s.out += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	if bomb := s.check(); bomb != nil {
		return n, bomb
	}
	return n, err
}

// check holds the ratio of the file that is being read, and of all until here.
func (s *stream) check() error {
	read := s.read()
	name, out, in := s.name, s.out-s.fromOut, read-s.fromIn+inflating
	if s.out > ratioFloor && s.out/s.ratio > read {
		name, out, in = "it", s.out, read
	}
	if out > ratioFloor && out/s.ratio > in {
		return tooLarge("%s unpacks to %d bytes and more from %d, more than %d times as many: build the package with `theseus package build`", name, out, in, s.ratio)
	}
	return nil
}

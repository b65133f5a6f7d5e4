package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// upload spools c in pieces that fit no chunk.
func (s *ship) upload(c cargo) *Spool {
	s.t.Helper()
	p, err := s.Spool()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{p}, iotest.HalfReader(bytes.NewReader(c.bytes)), make([]byte, 99_991)); err != nil {
		s.t.Fatal(err)
	}
	digest, size, err := p.Finish()
	if err != nil || digest != c.digest || size != int64(len(c.bytes)) {
		s.t.Fatalf("%s, %d bytes, %v; want %s, %d", digest, size, err, c.digest, len(c.bytes))
	}
	return p
}

func TestAnUploadReadsBackBeforeItIsKept(t *testing.T) {
	for _, size := range []int{0, 1, ChunkSize, ChunkSize + 1, spoolBatch, spoolBatch + ChunkSize + 1} {
		s, c := newShip(t), newCargo(size, 1)
		p := s.upload(c)
		sum := sha256.New()
		if n, err := io.Copy(sum, io.NewSectionReader(p, 0, int64(size))); err != nil || n != int64(size) {
			t.Errorf("%d bytes: read %d, %v", size, n, err)
		}
		if !bytes.Equal(sum.Sum(nil), c.sum[:]) {
			t.Errorf("%d bytes: others read back", size)
		}
		if err := p.Drop(); err != nil {
			t.Error(err)
		}
	}
}

func TestAKeptUploadIsTheArchiveAndTheLogAddsNothing(t *testing.T) {
	s, c := newShip(t), newCargo(spoolBatch+ChunkSize+3, 1)
	p := s.upload(c)
	if err := p.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(); err != nil {
		t.Errorf("drop after keep: %v", err)
	}
	s.wantArchive(c)
	before := s.archiveTx(c)
	s.accepted(configAt(1, "n1"), commandAt(2, c.announced()))
	s.accepted(c.logs(3)...)
	if after := s.archiveTx(c); after != before {
		t.Errorf("the archive was written: transaction %d, was %d", after, before)
	}
	s.reopen()
	s.wantArchive(c)
}

func TestAnUploadAddsWhatTheLogHasNotBrought(t *testing.T) {
	s, c := newShip(t), newCargo(spoolBatch+2*ChunkSize+3, 1)
	for _, l := range []int{0, 3} {
		if err := s.Log().StoreLog(c.logs(1)[l]); err != nil {
			t.Fatal(err)
		}
		if err := s.Log().DeleteRange(1, 9); err != nil {
			t.Fatal(err)
		}
	}
	before := filesBelow(t, s.dir)
	if err := s.upload(c).Keep(); err != nil {
		t.Fatal(err)
	}
	s.wantArchive(c)
	if diff := cmp.Diff(before, filesBelow(t, s.dir)); diff != "" {
		t.Errorf("files: %s", diff)
	}
}

func TestAnUploadThatIsDroppedOrForgottenLeavesNothing(t *testing.T) {
	s := newShip(t)
	before := filesBelow(t, s.dir)
	p := s.upload(newCargo(ChunkSize, 1))
	if err := errors.Join(p.Drop(), p.Drop()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, filesBelow(t, s.dir)); diff != "" {
		t.Errorf("after drop: %s", diff)
	}
	forgotten := s.upload(newCargo(ChunkSize, 2))
	if err := forgotten.db.Close(); err != nil { // as the death of the process does
		t.Fatal(err)
	}
	s.reopen()
	if diff := cmp.Diff(before, filesBelow(t, s.dir)); diff != "" {
		t.Errorf("after a crash: %s", diff)
	}
}

func TestAnUploadOutlivesASnapshotThatIsInstalledMeanwhile(t *testing.T) {
	from, s, c := laden(t, newCargo(10, 2)), newShip(t), newCargo(ChunkSize, 1)
	p := s.upload(c)
	if err := s.install(from.taken()); err != nil {
		t.Fatal(err)
	}
	if err := p.Keep(); err != nil {
		t.Fatal(err)
	}
	s.wantArchive(c)
}

func TestAnUploadThatHasNotEndedIsNotKept(t *testing.T) {
	p, err := newShip(t).Spool()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Keep(); err == nil {
		t.Error("it was kept")
	}
	if _, _, err := p.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte{1}); err == nil {
		t.Error("bytes were taken after the end")
	}
	if err := p.Drop(); err != nil {
		t.Error(err)
	}
}

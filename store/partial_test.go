package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// take opens the upload of c.
func (s *ship) take(c cargo) *Spool {
	s.t.Helper()
	p, err := s.Resume(c.digest, int64(len(c.bytes)))
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *ship) wantPartial(c cargo, size int) {
	s.t.Helper()
	got, err := s.Partial(c.digest)
	if err != nil || got.Size != int64(size) || got.Total != int64(len(c.bytes)) {
		s.t.Fatalf("%d of %d bytes, %v; want %d of %d", got.Size, got.Total, err, size, len(c.bytes))
	}
	read := make([]byte, size)
	if n, err := s.ReadPartial(c.digest, read, 0); n != size || err != nil && err != io.EOF || !bytes.Equal(read, c.bytes[:size]) {
		s.t.Fatalf("read %d bytes, %v; or they are others", n, err)
	}
}

func fill(t *testing.T, p *Spool, b []byte) {
	t.Helper()
	if n, err := p.Write(b); n != len(b) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(b), err)
	}
}

func TestAnUploadThatIsCutGoesOnWhereItWasAndIsKept(t *testing.T) {
	size := 2*spoolBatch + ChunkSize + 7
	for _, cuts := range [][]int{{1}, {ChunkSize}, {ChunkSize + 1, ChunkSize + 2}, {spoolBatch}, {spoolBatch - 1, spoolBatch + 1, 2*spoolBatch + ChunkSize + 6}, {size}} {
		s, c := newShip(t), newCargo(size, 1)
		at := 0
		for _, cut := range cuts {
			p := s.take(c)
			if p.Size() != int64(at) {
				t.Fatalf("%v: goes on from %d, not %d", cuts, p.Size(), at)
			}
			fill(t, p, c.bytes[at:cut])
			if err := errors.Join(p.Suspend(), p.Suspend(), p.Drop()); err != nil {
				t.Fatal(err)
			}
			at = cut
			s.wantPartial(c, at)
			s.reopen()
			s.wantPartial(c, at)
		}
		p := s.take(c)
		fill(t, p, c.bytes[at:])
		if digest, n, err := p.Finish(); digest != c.digest || n != int64(size) || err != nil {
			t.Fatalf("%v: %s, %d bytes, %v", cuts, digest, n, err)
		}
		if err := p.Keep(); err != nil {
			t.Fatal(err)
		}
		s.wantArchive(c)
		if left, err := s.Partials(); err != nil || len(left) > 0 {
			t.Errorf("%v: left %v, %v", cuts, left, err)
		}
		s.accepted(configAt(1, "n1"), commandAt(2, c.announced()))
		s.reopen()
		s.wantArchive(c)
	}
}

func TestADeathLosesNoMoreThanABatchOfAnUpload(t *testing.T) {
	s, c := newShip(t), newCargo(3*spoolBatch+5, 1)
	p := s.take(c)
	fill(t, p, c.bytes[:2*spoolBatch-1])
	s.shelf.files[c.digest].spool = nil // so that Close does not put it aside, as the death of the process does not
	s.reopen()
	s.wantPartial(c, spoolBatch)

	p = s.take(c)
	fill(t, p, c.bytes[spoolBatch:])
	if _, _, err := p.Finish(); err != nil { // and dies before it is kept
		t.Fatal(err)
	}
	s.shelf.files[c.digest].spool = nil
	s.reopen()
	s.wantPartial(c, len(c.bytes))
	p = s.take(c)
	if p.Size() != int64(len(c.bytes)) {
		t.Errorf("goes on from %d of %d", p.Size(), len(c.bytes))
	}
	if digest, _, err := p.Finish(); digest != c.digest || err != nil {
		t.Errorf("%s, %v", digest, err)
	}
}

func TestACleanEndPutsWhatIsUnderWayAside(t *testing.T) {
	s, c := newShip(t), newCargo(spoolBatch, 1)
	p := s.take(c)
	fill(t, p, c.bytes[:spoolBatch-3])
	s.reopen()
	if _, err := p.Write([]byte{1}); err == nil {
		t.Error("bytes were taken after the end")
	}
	s.wantPartial(c, spoolBatch-3)
}

func TestOneAtATimeAddsToAnUploadAndOthersRead(t *testing.T) {
	s, c := newShip(t), newCargo(spoolBatch+5, 1)
	p := s.take(c)
	fill(t, p, c.bytes)
	if _, err := s.Resume(c.digest, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if err := s.DropPartial(c.digest); !errors.Is(err, ErrBusy) {
		t.Errorf("dropped under way: %v", err)
	}
	s.wantPartial(c, spoolBatch) // what is synced
	if err := p.Suspend(); err != nil {
		t.Fatal(err)
	}
	s.wantPartial(c, spoolBatch+5)
	if err := errors.Join(s.DropPartial(c.digest), s.DropPartial(c.digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Partial(c.digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("after drop: %v", err)
	}
}

func TestUploadsAreListedOldestFirst(t *testing.T) {
	s := newShip(t)
	a, b := newCargo(3, 1), newCargo(4, 2)
	for _, c := range []cargo{a, b} {
		p := s.take(c)
		fill(t, p, c.bytes)
		if err := p.Suspend(); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(s.shelf.path(b.digest), day, day); err != nil {
		t.Fatal(err)
	}
	all, err := s.Partials()
	if err != nil || len(all) != 2 || all[0].Digest != b.digest || all[0].Touched.After(day.Add(time.Second)) || all[1].Digest != a.digest {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{"", "..", a.digest[1:]} {
		if _, err := s.Resume(bad, 1); err == nil {
			t.Errorf("%q was taken for a digest", bad)
		}
	}
}

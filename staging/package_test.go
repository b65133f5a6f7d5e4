package staging

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

func imageOf(body string) string { return digest(sha256.Sum256([]byte(body))).String() }

func TestAGoodPackageSaysWhatItHolds(t *testing.T) {
	key, trust := newKey(t)
	got, err := verify(t, good(&key).bytes(t), DefaultLimits(), trust)
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{
		Version: "1.1.0",
		Images: map[string]string{
			"linux/amd64": imageOf("daemon for amd64"),
			"linux/arm64": imageOf("daemon for arm64"),
		},
		CLIs:   map[string]string{"linux/amd64": imageOf("command line for amd64")},
		Signer: key.ID(), Trusted: true, Comment: "test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnsignedPackagesAreTakenOnlyWhenAllowed(t *testing.T) {
	key, trust := newKey(t)
	trust.AllowUnsigned = true
	got, err := verify(t, good(nil).bytes(t), DefaultLimits(), trust)
	if err != nil || got.Signer != "" || got.Trusted {
		t.Errorf("no signature: %+v, %v", got, err)
	}
	stranger, _ := newKey(t)
	got, err = verify(t, good(&stranger).bytes(t), DefaultLimits(), trust)
	if err != nil || got.Signer != stranger.ID() || got.Trusted || got.Comment != "" {
		t.Errorf("unknown key: %+v, %v", got, err)
	}
	wrong := good(&key)
	resign(wrong, key, "0", "1")
	_, err = verify(t, wrong.bytes(t), DefaultLimits(), trust)
	checkProblem(t, err, model.Refused, "does not fit")
}

func TestAProgramIsReadWithItsChecksum(t *testing.T) {
	key, _ := newKey(t)
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) { holdPrograms(t, openBytes(t, good(&key).in(t, f))) })
	}
}

func holdPrograms(t *testing.T, p *Package) {
	for platform, want := range map[string]string{"linux/amd64": "daemon for amd64", "linux/arm64": "daemon for arm64"} {
		r, size, err := p.Binary(platform)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != want || err != nil || size != int64(len(want)) || r.Close() != nil {
			t.Errorf("%s: %q of %d bytes, %v; want %q", platform, got, size, err, want)
		}
	}
	r, _, err := p.CLI("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(r, []byte("command line for amd64")); err != nil {
		t.Error(err)
	}
	_, _, err = p.Binary("linux/s390x")
	checkProblem(t, err, model.Refused, "bin/linux/s390x/theseusd", "--bin linux/s390x=DIR")
	_, _, err = p.CLI("linux/arm64")
	checkProblem(t, err, model.Refused, "bin/linux/arm64/theseus")
}

func TestAProgramWithAWrongChecksumNeverComesToItsEnd(t *testing.T) {
	d := good(nil)
	d.at("bin/linux/amd64/theseusd").body = "daemon for amd65"
	for _, f := range formats {
		r, _, err := openBytes(t, d.in(t, f)).Binary("linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		checkProblem(t, err, model.Refused, "checksum")
	}
}

func openBytes(t *testing.T, archive []byte) *Package {
	t.Helper()
	p, err := Open(bytes.NewReader(archive), int64(len(archive)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// meter counts what is read and breaks when it is told to.
type meter struct {
	r     io.ReaderAt
	read  int64
	last  int64 // read before the last call
	after int64 // bytes after which reading fails; 0 is never
}

var errMedium = errors.New("the disk is broken")

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if m.after > 0 && m.read >= m.after {
		return 0, errMedium
	}
	n, err := m.r.ReadAt(p, off)
	m.last = m.read
	m.read += int64(n)
	return n, err
}

func TestABrokenDiskIsNotTheSendersFault(t *testing.T) {
	key, trust := newKey(t)
	d := good(&key)
	d.add(part{name: "docs/long", body: strings.Repeat("a long text ", 10_000), method: zip.Deflate})
	for _, f := range formats {
		breakDisk(t, d.in(t, f), trust)
	}
}

func breakDisk(t *testing.T, archive []byte, trust Trust) {
	t.Helper()
	whole := &meter{r: bytes.NewReader(archive)}
	p, err := Open(whole, int64(len(archive)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(t.Context(), trust); err != nil {
		t.Fatal(err)
	}
	for after := int64(1); after <= whole.last; after += 7 {
		m := &meter{r: bytes.NewReader(archive), after: after}
		p, err := Open(m, int64(len(archive)), DefaultLimits())
		if err == nil {
			_, err = p.Verify(t.Context(), trust)
		}
		if !errors.Is(err, errMedium) || model.KindOf(err) != "" {
			t.Fatalf("after %d bytes: %v", after, err)
		}
	}
}

// large is a signed package with a program of n bytes that do not compress.
func large(t testing.TB, n int, f Format) ([]byte, Trust) {
	t.Helper()
	key, trust := newKey(t)
	d := good(&key)
	d.replace("bin/linux/amd64/theseusd", noise(n))
	return d.in(t, f), trust
}

func TestVerifyReadsEveryByteOnceAndKeepsNone(t *testing.T) {
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) { readOnce(t, f) })
	}
}

func readOnce(t *testing.T, f Format) {
	archive, trust := large(t, 12<<20, f)
	m := &meter{r: bytes.NewReader(archive)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := Open(m, int64(len(archive)), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(t.Context(), trust); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if over := m.read - int64(len(archive)); over > 256<<10 {
		t.Errorf("read %d bytes more than the %d of the archive", over, len(archive))
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 2<<20 {
		t.Errorf("allocated %d bytes", spent)
	}
}

// stopper ends a context once so much was read.
type stopper struct {
	meter
	stop context.CancelFunc
}

func (s *stopper) ReadAt(p []byte, off int64) (int, error) {
	if s.read > 1<<20 {
		s.stop()
	}
	return s.meter.ReadAt(p, off)
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	for _, f := range formats {
		t.Run(string(f), func(t *testing.T) { stopVerify(t, f) })
	}
}

func stopVerify(t *testing.T, f Format) {
	archive, trust := large(t, 8<<20, f)
	ctx, cancel := context.WithCancel(t.Context())
	s := &stopper{meter{r: bytes.NewReader(archive)}, cancel}
	p, err := OpenContext(ctx, s, int64(len(archive)), DefaultLimits())
	if err == nil {
		_, err = p.Verify(ctx, trust)
	}
	if !errors.Is(err, context.Canceled) || model.KindOf(err) != "" {
		t.Errorf("got %v", err)
	}
	if s.read > 2<<20 {
		t.Errorf("read on to %d bytes", s.read)
	}
}

func TestAFileIsVerifiedByItsPath(t *testing.T) {
	key, trust := newKey(t)
	path := t.TempDir() + "/p.zip" // whatever is in it
	for _, f := range formats {
		if err := os.WriteFile(path, good(&key).in(t, f), 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := VerifyFile(t.Context(), path, DefaultLimits(), trust); err != nil || f.Version != "1.1.0" {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if _, err := VerifyFile(t.Context(), path+"x", DefaultLimits(), trust); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
	if _, err := VerifyFile(t.Context(), t.TempDir(), DefaultLimits(), trust); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

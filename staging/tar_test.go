package staging

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

func TestWhatOnlyATarCanHaveIsRefused(t *testing.T) {
	key, trust := newKey(t)
	odd := func(p part) func(*draft) {
		return func(d *draft) { d.tail = []part{p} }
	}
	refuse(t, []spoiled{
		{"a hard link", odd(part{name: "hard", flag: tar.TypeLink}),
			model.Refused, []string{"hard", "it is a link"}},
		{"a symbolic link that ends in a slash", odd(part{name: "link/", flag: tar.TypeSymlink}),
			model.Refused, []string{"link/", "it is a link"}},
		{"a directory with contents", odd(part{name: "dir/", flag: tar.TypeDir, stated: 512}),
			model.Refused, []string{"dir/", "contents"}},
		{"a file that is called as a directory", odd(part{name: "dir/", body: "x"}),
			model.Refused, []string{"dir/", "neither a regular file"}},
		{"a block device", odd(part{name: "sda", flag: tar.TypeBlock}),
			model.Refused, []string{"sda", "neither a regular file"}},
		{"a contiguous file", odd(part{name: "cont", flag: tar.TypeCont}),
			model.Refused, []string{"cont", "neither a regular file"}},
		{"a kind that nobody knows", odd(part{name: "odd", flag: 'Q'}),
			model.Refused, []string{"odd", "neither a regular file"}},
		{"a header for all files that follow", odd(part{name: "pax_global_header", flag: tar.TypeXGlobalHeader, body: record("path", "elsewhere")}),
			model.Refused, []string{"neither a regular file"}},
		{"a sparse file of a version unknown", odd(part{name: "holes", pax: record("GNU.sparse.major", "7")}),
			model.Refused, []string{"holes", "sparse"}},
		{"another name in an extended header", odd(part{name: "x", pax: record("path", "../escape")}),
			model.Refused, []string{"../escape", "leads out"}},
		{"a name of a megabyte", odd(part{name: strings.Repeat("x", 1000<<10), body: "x"}),
			model.Refused, []string{"xxx...", "too long"}},

		{"a file that states more than there is", odd(part{name: "x", stated: 1 << 30}),
			model.Malformed, []string{"truncated", "x: unexpected EOF"}},
		{"a file that states less than there is", odd(part{name: "x", body: strings.Repeat("x", 4*tarBlock), stated: 1}),
			model.Malformed, []string{"tar.gz", "damaged"}},
		{"a size that is no size", odd(part{name: "x", pax: record("size", "9223372036854775808000")}),
			model.Malformed, []string{"tar.gz", "damaged"}},
		{"a file of too high a ratio after one of a low one", func(d *draft) {
			d.replace("bin/linux/amd64/theseusd", noise(200<<10))
			d.add(part{name: "zeros", body: strings.Repeat("\x00", 8<<20)})
		}, model.TooLarge, []string{"zeros unpacks", "100 times"}},
		{"a file of too high a ratio before one that would make up for it", func(d *draft) {
			d.parts = append([]part{{name: "zeros", body: strings.Repeat("\x00", 3<<20)}, {name: "noise", body: noise(60 << 10)}}, d.parts...)
		}, model.TooLarge, []string{"100 times"}},
	}, key, trust, TarGz)
}

// What does not compress is unpacked, and counted, before its file begins.
func TestAFileWhoseBytesWereReadAheadHasItsRightRatio(t *testing.T) {
	key, trust := newKey(t)
	d := good(&key)
	d.add(part{name: "docs/long", body: noise(28<<10) + strings.Repeat("\x00", 5<<18)})
	if _, err := verify(t, d.in(t, TarGz), DefaultLimits(), trust); err != nil {
		t.Error(err)
	}
}

func TestATarGzEndsWhereItEnds(t *testing.T) {
	key, trust := newKey(t)
	body := good(&key).tar(t)
	files := body[:len(body)-2*tarBlock]
	whole := zipped(t, body)
	half := len(body) / 2
	rows := []struct {
		what    string
		archive []byte
		kind    model.Kind // none: it is taken
		names   string
	}{
		{"as many zeros as tools add", zipped(t, append(bytes.Clone(body), make([]byte, 10240)...)), "", ""},
		{"in many gzip members", append(zipped(t, body[:half]), zipped(t, body[half:])...), "", ""},
		{"no mark of its end", zipped(t, files), model.Malformed, "truncated"},
		{"half a mark of its end", zipped(t, body[:len(body)-tarBlock]), model.Malformed, "truncated"},
		{"less than half a mark", zipped(t, body[:len(body)-tarBlock-1]), model.Malformed, "truncated"},
		{"something after the gzip file", append(bytes.Clone(whole), "something more"...), model.Malformed, "goes on"},
		{"zeros after the gzip file", append(bytes.Clone(whole), make([]byte, 512)...), model.Malformed, "goes on"},
		{"a gzip member cut short", append(bytes.Clone(whole), whole[:20]...), model.Malformed, "truncated"},
		{"a second tar file in the first gzip member", zipped(t, append(bytes.Clone(body), body...)), model.Malformed, "goes on"},
		{"a second tar.gz", append(bytes.Clone(whole), whole...), model.Malformed, "goes on"},
		{"zeros without end", zipped(t, append(append(files, noise(200<<10)...), make([]byte, 64<<20)...)), model.Malformed, "damaged"},
		{"a bomb of zeros after its end", zipped(t, append(bytes.Clone(body), make([]byte, 64<<20)...)), model.TooLarge, "100 times"},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			facts, err := verify(t, r.archive, DefaultLimits(), trust)
			if r.kind != "" {
				checkProblem(t, err, r.kind, r.names)
			} else if err != nil || facts.Version != "1.1.0" {
				t.Errorf("got %+v, %v", facts, err)
			}
		})
	}
}

// What the tar tool packs is taken, and it unpacks what we pack.
func TestTheTarToolAndWeReadEachOther(t *testing.T) {
	key, trust := newKey(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "ours.tar.gz")
	if err := BuildFile(file, Recipe{Version: "1.1.0", Bins: bins(t, "linux/amd64"), Key: &key, Format: TarGz}); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	shell(t, open, "tar -xzf ../ours.tar.gz && sha256sum --strict --check sha256sums && test -x bin/linux/amd64/theseusd && "+
		"test $(stat -c %Y bin/linux/amd64/theseusd) = $(date -d 1980-01-01T00:00Z +%s)")
	for _, how := range []string{"gnu", "pax", "ustar"} {
		shell(t, open, "tar --format="+how+" -czf ../theirs.zip *")
		if facts, err := VerifyFile(t.Context(), filepath.Join(dir, "theirs.zip"), DefaultLimits(), trust); err != nil || !facts.Trusted {
			t.Errorf("%s: %+v, %v", how, facts, err)
		}
	}
}

func TestSparseFilesOfTheTarToolAreRefused(t *testing.T) {
	dir := t.TempDir()
	shell(t, dir, "truncate -s 1M holes")
	for _, how := range []string{"--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"} {
		shell(t, dir, "tar --sparse "+how+" -czf x.tar.gz holes")
		_, err := VerifyFile(t.Context(), filepath.Join(dir, "x.tar.gz"), DefaultLimits(), Trust{AllowUnsigned: true})
		checkProblem(t, err, model.Refused, "holes", "sparse")
	}
}

func shell(t *testing.T, dir, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func TestATarGzIsSignedAgainAsATarGz(t *testing.T) {
	key, trust := newKey(t)
	d := good(nil)
	for i := range 20 {
		d.add(part{name: "docs/" + string(rune('a'+i)), body: noise(1000 * i)})
	}
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, d.in(t, TarGz), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := SignFile(t.Context(), path, DefaultLimits(), key); err != nil {
			t.Fatal(err)
		}
	}
	f, size, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := Open(f, size, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if facts, err := p.Verify(t.Context(), trust); err != nil || facts.Signer != key.ID() {
		t.Errorf("%+v, %v", facts, err)
	}
	if p.format != TarGz || p.entries["bin/linux/amd64/theseusd"].mode != 0o755 || p.entries["docs/CHANGES"].mode != 0o644 {
		t.Errorf("it is a %s now, with other permissions", p.format)
	}
}

func TestATarGzThatChangesUnderneathIsNotRead(t *testing.T) {
	key, _ := newKey(t)
	before, after := good(&key), good(&key)
	after.at("bin/linux/amd64/theseusd").body = "daemon for amd65"
	at := bytes.Index(before.tar(t), []byte("daemon for amd64"))
	for what, now := range map[string][]byte{
		"checksum":       after.in(t, TarGz),
		"unexpected EOF": zipped(t, before.tar(t)[:at+3]),
	} {
		m := &swap{bytes.NewReader(before.in(t, TarGz))}
		p, err := Open(m, m.now.Size(), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		m.now = bytes.NewReader(now)
		r, _, err := p.Binary("linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		checkProblem(t, err, model.Refused, "bin/linux/amd64/theseusd", what)
		if err := Sign(t.Context(), io.Discard, p, key); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("signing it again: %v", err)
		}
	}
}

// swap is a file that another takes the place of.
type swap struct{ now *bytes.Reader }

func (s *swap) ReadAt(p []byte, off int64) (int, error) { return s.now.ReadAt(p, off) }

// noise is n bytes that do not compress.
func noise(n int) string {
	body := make([]byte, n)
	state := sha256.Sum256(nil)
	for i := 0; i < n; i += copy(body[i:], state[:]) {
		state = sha256.Sum256(state[:])
	}
	return string(body)
}

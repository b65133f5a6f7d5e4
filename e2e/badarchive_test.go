package e2e

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// box is an archive taken apart, to be spoiled and put together again.
type box struct {
	entries []entry
	sealed  bool // keep sha256sums as it is
}

type entry struct {
	name    string
	mode    os.FileMode
	deflate bool
	data    []byte
}

func unpack(t *testing.T, file string) *box {
	t.Helper()
	r := must[*zip.ReadCloser](t)(zip.OpenReader(file))
	defer r.Close()
	b := &box{}
	for _, f := range r.File {
		in := must[io.ReadCloser](t)(f.Open())
		b.entries = append(b.entries, entry{name: f.Name, mode: f.Mode(), data: must[[]byte](t)(io.ReadAll(in))})
		in.Close()
	}
	return b
}

func (b *box) at(name string) *entry {
	i := slices.IndexFunc(b.entries, func(e entry) bool { return e.name == name })
	return &b.entries[i]
}

func (b *box) add(name, data string) {
	b.entries = append(b.entries, entry{name: name, mode: 0o644, data: []byte(data)})
}

func (b *box) remove(name string) {
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return e.name == name })
}

func (b *box) replace(name, old, with string) {
	e := b.at(name)
	e.data = bytes.ReplaceAll(e.data, []byte(old), []byte(with))
}

// pack writes the box to a file, with sums that fit unless it is sealed.
func (b *box) pack(t *testing.T) (file string) {
	t.Helper()
	if !b.sealed {
		b.at("sha256sums").data = b.sums()
	}
	f := must[*os.File](t)(os.Create(filepath.Join(t.TempDir(), "bad.zip")))
	w := zip.NewWriter(f)
	for _, e := range b.entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Store}
		if e.deflate {
			h.Method = zip.Deflate
		}
		h.SetMode(e.mode)
		out := must[io.Writer](t)(w.CreateHeader(h))
		must[int](t)(out.Write(e.data))
	}
	check(t, w.Close())
	check(t, f.Close())
	return f.Name()
}

func (b *box) sums() []byte {
	var lines bytes.Buffer
	for _, e := range b.entries {
		if !strings.HasPrefix(e.name, "sha256sums") {
			fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(e.data), e.name)
		}
	}
	return lines.Bytes()
}

// spoiled are the archives that must be refused, each made from a good one.
var spoiled = []struct {
	name   string
	spoil  func(b *box)
	status int
	words  []string
}{
	{"a wrong checksum of one entry", func(b *box) { b.sealed = true; b.at(theseusd).data[4096] ^= 1 },
		http.StatusUnprocessableEntity, []string{theseusd}},
	{"an entry that no checksum covers", func(b *box) { b.sealed = true; b.add("extra", "x") },
		http.StatusUnprocessableEntity, []string{"extra"}},
	{"an entry missing that has a checksum", func(b *box) { b.sealed = true; b.remove(theseusd) },
		http.StatusUnprocessableEntity, []string{theseusd}},
	{"no checksums", func(b *box) { b.sealed = true; b.remove("sha256sums") },
		http.StatusUnprocessableEntity, []string{"sha256sums"}},
	{"no manifest", func(b *box) { b.remove("manifest.yaml") },
		http.StatusUnprocessableEntity, []string{"manifest.yaml"}},
	{"a manifest with an unknown field", func(b *box) { b.at("manifest.yaml").data = append(b.at("manifest.yaml").data, "colour: red\n"...) },
		http.StatusUnprocessableEntity, []string{"colour"}},
	{"a manifest with a bad version", func(b *box) { b.replace("manifest.yaml", "1.1.0", "one") },
		http.StatusUnprocessableEntity, []string{"version"}},
	{"no binary for the members' platform", func(b *box) { b.move("linux/amd64", "linux/riscv64") },
		http.StatusUnprocessableEntity, []string{"n1", "n2", "n3", "linux/amd64"}},
	{"a path that climbs out", func(b *box) { b.add("../escape", "x") },
		http.StatusUnprocessableEntity, []string{"../escape"}},
	{"an absolute path", func(b *box) { b.add("/etc/escape", "x") },
		http.StatusUnprocessableEntity, []string{"/etc/escape"}},
	{"a link", func(b *box) {
		b.entries = append(b.entries, entry{name: "bin/link", mode: os.ModeSymlink | 0o777, data: []byte("/etc/passwd")})
	}, http.StatusUnprocessableEntity, []string{"bin/link"}},
	{"a name that is there twice", func(b *box) { b.add("extra", "x"); b.add("extra", "x") },
		http.StatusUnprocessableEntity, []string{"extra"}},
	{"too many entries", func(b *box) {
		for i := range 10_001 {
			b.add(fmt.Sprintf("extra/%d", i), "")
		}
	}, http.StatusRequestEntityTooLarge, []string{"10000"}},
	{"too high a ratio", func(b *box) {
		b.entries = append(b.entries, entry{name: "zeros", mode: 0o644, deflate: true, data: make([]byte, 32<<20)})
	}, http.StatusRequestEntityTooLarge, []string{"zeros"}},
}

const theseusd = "bin/linux/amd64/theseusd"

// move changes the platform that the box is for.
func (b *box) move(from, to string) {
	for i := range b.entries {
		b.entries[i].name = strings.ReplaceAll(b.entries[i].name, from, to)
	}
	b.replace("manifest.yaml", from, to)
}

func TestABadArchiveIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.TrustedKey = "" })
	good := unsigned(t, "1.1.0", v110)
	before := still(t, c)
	for _, row := range spoiled {
		t.Run(row.name, func(t *testing.T) {
			b := unpack(t, good)
			row.spoil(b)
			a := must[Answer](t)(c.Stage(within(t), c.Members[1], b.pack(t)))
			refused(t, a, row.status, row.words...)
			unchanged(t, c, before)
		})
	}
	for _, row := range append(unreadable(t, good), badTars(t)...) {
		t.Run(row.name, func(t *testing.T) {
			a := must[Answer](t)(c.Do(within(t), c.Members[1], Request{Method: "POST", Path: stagePath, Body: row.body, Size: row.size}))
			refused(t, a, row.status)
			unchanged(t, c, before)
		})
	}
	for _, row := range badVersions {
		t.Run("version "+row.version, func(t *testing.T) {
			a := must[Answer](t)(c.Stage(within(t), c.Members[1], unsigned(t, row.version, row.build)))
			refused(t, a, http.StatusUnprocessableEntity, row.words...)
			unchanged(t, c, before)
		})
	}
}

type upload struct {
	name   string
	body   io.Reader
	size   int64
	status int
}

// unreadable are uploads that are no archive at all.
func unreadable(t *testing.T, good string) []upload {
	t.Helper()
	whole := must[[]byte](t)(os.ReadFile(good))
	return []upload{
		{"empty", bytes.NewReader(nil), 0, http.StatusBadRequest},
		{"empty and chunked", bytes.NewReader(nil), -1, http.StatusBadRequest},
		{"not an archive", strings.NewReader("hello"), 5, http.StatusBadRequest},
		{"truncated", bytes.NewReader(whole[:len(whole)/2]), -1, http.StatusBadRequest},
		{"too large", zeros{}, 2<<30 + 1, http.StatusRequestEntityTooLarge},
	}
}

// badVersions are steps that the version rules forbid. From 1.0.0 the rest of
// the table cannot be asked for; it is a test of the rules themselves.
var badVersions = []struct {
	version string
	build   Build
	words   []string
}{
	{"1.2.0", v110, []string{"n1", "1.1"}},
	{"2.1.0", v110, []string{"n1", "2.0"}},
	{"3.0.0", v110, []string{"n1", "2.0"}},
	{"0.9.0", v110, []string{"n1", "1.0.0"}},
	{"1.0.0", v110, []string{"n1", "1.0.0"}},
	{"1.0.0", v100, []string{"already"}},
}

func TestAnArchiveThatNobodyTrustedSignedIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(p *Plan) { p.Size = 1 })
	ctx := within(t)
	before := still(t, c)
	stranger := must[string](t)(shop.Package(ctx, cli(t), "1.1.0", binaries(t, v110), key(t, "stranger")))
	for _, file := range []string{unsigned(t, "1.1.0", v110), stranger} {
		a := must[Answer](t)(c.Stage(ctx, c.Members[0], file))
		refused(t, a, http.StatusUnprocessableEntity, "sign")
		unchanged(t, c, before)
	}
}

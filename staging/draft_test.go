package staging

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"hash/crc32"
	"io/fs"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// draft is a package in the making, with every rule open to being broken.
type draft struct {
	parts []part
	sums  sums    // of the parts, unless a test changes it
	text  *string // sha256sums as it is, instead of sums
	key   *Key
	tail  []part   // after the sums and the signature
	bare  bool     // without sha256sums
	patch []string // bytes of the archive, and as many to stand there instead
}

type part struct {
	name   string
	body   string
	mode   fs.FileMode
	method uint16                // zip.Store or zip.Deflate, or a number nobody knows
	lie    func(*zip.FileHeader) // changes what the directory states

	flag   byte   // what a tar file states that it is, instead of what mode says
	pax    string // records of an extended header before it
	stated int    // its size, instead of the right one
}

const goodManifest = "name: theseus\nversion: 1.1.0\nplatforms: [linux/amd64, linux/arm64]\n"

// good is a draft of a package that is in order, signed by key.
func good(key *Key) *draft {
	d := &draft{sums: sums{}, key: key}
	d.add(part{name: manifestName, body: goodManifest})
	d.add(part{name: "bin/linux/amd64/theseusd", body: "daemon for amd64", mode: 0o755})
	d.add(part{name: "bin/linux/amd64/theseus", body: "command line for amd64", mode: 0o755})
	d.add(part{name: "bin/linux/arm64/theseusd", body: "daemon for arm64", mode: 0o755, method: zip.Deflate})
	d.add(part{name: "docs/", mode: fs.ModeDir | 0o755})
	d.add(part{name: "docs/CHANGES", body: "it is better now\n"})
	return d
}

// add appends a part that the sums cover.
func (d *draft) add(p part) {
	d.parts = append(d.parts, p)
	if !p.mode.IsDir() {
		d.sums[p.name] = sha256.Sum256([]byte(p.body))
	}
}

// at is the part of that name, to be changed behind the back of the sums.
func (d *draft) at(name string) *part {
	for i := range d.parts {
		if d.parts[i].name == name {
			return &d.parts[i]
		}
	}
	panic("the draft has no " + name)
}

// replace gives the part of that name another body, and the sums its digest.
func (d *draft) replace(name, body string) {
	d.at(name).body = body
	d.sums[name] = sha256.Sum256([]byte(body))
}

func (d *draft) remove(name string) {
	for i, p := range d.parts {
		if p.name == name {
			d.parts = append(d.parts[:i:i], d.parts[i+1:]...)
		}
	}
	delete(d.sums, name)
}

// bytes are the archive as a zip.
func (d *draft) bytes(t testing.TB) []byte {
	t.Helper()
	return []byte(strings.NewReplacer(d.patch...).Replace(string(pack(t, d.all()))))
}

// all are the parts with the sums and the signature.
func (d *draft) all() []part {
	text := string(d.sums.format())
	if d.text != nil {
		text = *d.text
	}
	parts := append([]part{}, d.parts...)
	if !d.bare {
		parts = append(parts, part{name: sumsName, body: text})
	}
	if d.key != nil {
		parts = append(parts, part{name: signatureName, body: string(d.key.sign([]byte(text), "test"))})
	}
	return append(parts, d.tail...)
}

// pack writes the parts as they are, lies included.
func pack(t testing.TB, parts []part) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, p := range parts {
		body := deflated(t, p)
		h := &zip.FileHeader{Name: p.name, Method: p.method, CRC32: crc32.ChecksumIEEE([]byte(p.body)),
			CompressedSize64: uint64(len(body)), UncompressedSize64: uint64(len(p.body))}
		if p.mode == 0 {
			p.mode = 0o644
		}
		h.SetMode(p.mode)
		if p.lie != nil {
			p.lie(h)
		}
		f, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func deflated(t testing.TB, p part) []byte {
	t.Helper()
	if p.method != zip.Deflate {
		return []byte(p.body)
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(p.body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// newKey is a key and the trust in it alone.
func newKey(t testing.TB) (Key, Trust) {
	t.Helper()
	_, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := Key{private}
	trust, err := LoadTrust([]string{k.Public()}, false)
	if err != nil {
		t.Fatal(err)
	}
	return k, trust
}

// verify opens and verifies an archive in memory.
func verify(t testing.TB, archive []byte, l Limits, trust Trust) (Facts, error) {
	t.Helper()
	p, err := Open(bytes.NewReader(archive), int64(len(archive)), l)
	if err != nil {
		return Facts{}, err
	}
	return p.Verify(t.Context(), trust)
}

package staging

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// spoiled spoils a good package in one way and says which kind of problem that
// is and what its message must name.
type spoiled struct {
	what  string
	spoil func(d *draft)
	kind  model.Kind
	names []string
}

func refuse(t *testing.T, rows []spoiled, key Key, trust Trust, in ...Format) {
	t.Helper()
	for _, r := range rows {
		for _, f := range in {
			t.Run(r.what+" in a "+string(f), func(t *testing.T) {
				d := good(&key)
				r.spoil(d)
				_, err := verify(t, d.in(t, f), DefaultLimits(), trust)
				checkProblem(t, err, r.kind, r.names...)
			})
		}
	}
}

func TestEveryBadPackageIsRefusedForWhatIsWrongWithIt(t *testing.T) {
	key, trust := newKey(t)
	stranger, _ := newKey(t)
	refuse(t, []spoiled{
		{"wrong checksum of a stored file", func(d *draft) { d.at("bin/linux/amd64/theseusd").body = "daemon for amd65" },
			model.Refused, []string{"bin/linux/amd64/theseusd", "checksum"}},
		{"wrong checksum of a deflated file", func(d *draft) { d.at("bin/linux/arm64/theseusd").body = "daemon for arm65" },
			model.Refused, []string{"bin/linux/arm64/theseusd", "checksum"}},
		{"wrong checksum of the manifest", func(d *draft) { d.at(manifestName).body = goodManifest + "# more\n" },
			model.Refused, []string{manifestName, "checksum"}},
		{"a wrong checksum of the manifest is seen before it is read", func(d *draft) { d.at(manifestName).body = "name: argo\n" },
			model.Refused, []string{manifestName, "checksum"}},
		{"no signature", func(d *draft) { d.key = nil },
			model.Refused, []string{"not signed", "theseus package sign", "--allow-unsigned"}},
		{"signed by an unknown key", func(d *draft) { d.key = &stranger },
			model.Refused, []string{"not trusted", stranger.ID(), "--trusted-key"}},
		{"sums changed after signing", func(d *draft) { resign(d, key, "0", "1") },
			model.Refused, []string{"signature of key", key.ID(), "does not fit"}},
		{"a signature of nothing known", func(d *draft) {
			d.key = nil
			d.tail = []part{{name: signatureName, body: "-----BEGIN PGP SIGNATURE-----\n"}}
		}, model.Refused, []string{signatureName, "cannot be read"}},
		{"an empty signature", func(d *draft) {
			d.key = nil
			d.tail = []part{{name: signatureName}}
		}, model.Refused, []string{signatureName, "cannot be read"}},
		{"a signature without end", func(d *draft) {
			d.key = nil
			d.tail = []part{{name: signatureName, body: strings.Repeat("x", signatureLimit+1)}}
		}, model.TooLarge, []string{signatureName}},

		{"no sums", func(d *draft) { d.bare = true },
			model.Refused, []string{"no sha256sums"}},
		{"a file that the sums do not cover", func(d *draft) { delete(d.sums, "docs/CHANGES") },
			model.Refused, []string{"docs/CHANGES", "not in sha256sums"}},
		{"a file after the signature", func(d *draft) { d.tail = []part{{name: "late", body: "x"}} },
			model.Refused, []string{"late", "not in sha256sums"}},
		{"sums of a file that is not there", func(d *draft) { d.sums["gone"] = digest{} },
			model.Refused, []string{"gone", "does not hold"}},
		{"sums that name a file twice", func(d *draft) { d.text = new(string(d.sums.format()) + string(d.sums.format())) },
			model.Refused, []string{"sha256sums, line 6", "second time"}},
		{"sums that name themselves", func(d *draft) { d.sums[sumsName] = digest{} },
			model.Refused, []string{"cannot cover"}},
		{"sums of a path that leads out", func(d *draft) { d.sums["../x"] = digest{} },
			model.Refused, []string{"sha256sums, line 1", "../x", "leads out"}},
		{"sums of another algorithm", func(d *draft) { d.text = new("d41d8cd98f00b204e9800998ecf8427e  manifest.yaml\n") },
			model.Refused, []string{"sha256sums, line 1", "64 hex digits"}},
		{"sums of no hex digits", func(d *draft) { d.text = new(strings.Repeat("g", 64) + "  manifest.yaml\n") },
			model.Refused, []string{"sha256sums, line 1", "digest"}},
		{"empty sums", func(d *draft) { d.text = new("") },
			model.Refused, []string{"sha256sums, line 1"}},

		{"no manifest", func(d *draft) { d.remove(manifestName) },
			model.Refused, []string{"no manifest.yaml"}},
		{"a manifest for something else", func(d *draft) { d.replace(manifestName, strings.Replace(goodManifest, "theseus", "argo", 1)) },
			model.Refused, []string{`"name"`, "argo"}},
		{"a manifest with a field from the future", func(d *draft) { d.replace(manifestName, goodManifest+"barriers: [1.0.5]\n") },
			model.Refused, []string{"line 4", `"barriers"`, "does not know"}},

		{"no daemon for a platform of the manifest", func(d *draft) { d.remove("bin/linux/arm64/theseusd") },
			model.Refused, []string{"bin/linux/arm64/theseusd", "--bin linux/arm64=DIR"}},
		{"an empty daemon", func(d *draft) { d.replace("bin/linux/arm64/theseusd", "") },
			model.Refused, []string{"bin/linux/arm64/theseusd", "empty"}},
		{"a daemon for a platform that the manifest does not name", func(d *draft) { d.add(part{name: "bin/linux/s390x/theseusd", body: "x"}) },
			model.Refused, []string{"bin/linux/s390x/theseusd", "linux/s390x"}},

		{"a path that leads out", func(d *draft) { d.add(part{name: "bin/../../etc/passwd", body: "x"}) },
			model.Refused, []string{"bin/../../etc/passwd", "leads out"}},
		{"a path that begins by leading out", func(d *draft) { d.add(part{name: "../x", body: "x"}) },
			model.Refused, []string{"../x", "leads out"}},
		{"a path that is only out", func(d *draft) { d.add(part{name: "..", body: "x"}) },
			model.Refused, []string{"leads out"}},
		{"a path that leads out and back", func(d *draft) { d.add(part{name: "bin/../x", body: "x"}) },
			model.Refused, []string{"bin/../x", "leads out"}},
		{"an absolute path", func(d *draft) { d.add(part{name: "/etc/passwd", body: "x"}) },
			model.Refused, []string{"/etc/passwd", "absolute"}},
		{"a backslash", func(d *draft) { d.add(part{name: `bin\theseusd`, body: "x"}) },
			model.Refused, []string{"backslash"}},
		{"a drive", func(d *draft) { d.add(part{name: "C:/x", body: "x"}) },
			model.Refused, []string{"C:/x", "drive"}},
		{"a path in a longer form than needed", func(d *draft) { d.add(part{name: "./x", body: "x"}) },
			model.Refused, []string{"./x", "shortest"}},
		{"no name at all", func(d *draft) { d.add(part{name: "", body: "x"}) },
			model.Refused, []string{"no name"}},
		{"a name too long", func(d *draft) { d.add(part{name: strings.Repeat("x", nameLimit+1), body: "x"}) },
			model.Refused, []string{"too long"}},
		{"a control character in a name", func(d *draft) { d.add(part{name: "a\nb", body: "x"}) },
			model.Refused, []string{"printable"}},
		{"a symbolic link", func(d *draft) { d.add(part{name: "link", body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}) },
			model.Refused, []string{"link"}},
		{"a device", func(d *draft) { d.add(part{name: "null", mode: fs.ModeDevice | fs.ModeCharDevice | 0o666}) },
			model.Refused, []string{"null", "neither a regular file"}},
		{"a pipe", func(d *draft) { d.add(part{name: "pipe", mode: fs.ModeNamedPipe | 0o666}) },
			model.Refused, []string{"pipe", "neither a regular file"}},
		{"a directory with a name of a file", func(d *draft) { d.add(part{name: "dir", mode: fs.ModeDir | 0o755}) },
			model.Refused, []string{"dir", "neither a regular file"}},
		{"a name twice", func(d *draft) { d.tail = []part{{name: "docs/CHANGES", body: "it is better now\n"}} },
			model.Refused, []string{"docs/CHANGES", "side by side"}},
		{"names that differ by case", func(d *draft) { d.add(part{name: "DOCS/changes", body: "x"}) },
			model.Refused, []string{"docs/CHANGES", "DOCS/changes", "side by side"}},
		{"a file where another has its directory", func(d *draft) { d.add(part{name: "docs/CHANGES/more", body: "x"}) },
			model.Refused, []string{"docs/CHANGES", "docs/CHANGES/more", "side by side"}},
	}, key, trust, formats...)
}

func TestWhatOnlyAZipCanHaveIsRefused(t *testing.T) {
	key, trust := newKey(t)
	refuse(t, []spoiled{
		{"a symbolic link that ends in a slash", func(d *draft) {
			d.add(part{name: "linkX", body: "/etc", mode: fs.ModeSymlink | 0o777})
			d.patch = []string{"linkX", "link/"}
		}, model.Refused, []string{"link/", "it is a link"}},
		{"a directory with contents", func(d *draft) {
			d.add(part{name: "dirX", body: "x"})
			d.patch = []string{"dirX", "dir/"}
		}, model.Refused, []string{"dir/", "contents"}},
		{"an encrypted file", func(d *draft) { d.at("docs/CHANGES").lie = func(h *zip.FileHeader) { h.Flags |= 1 } },
			model.Refused, []string{"docs/CHANGES", "encrypted"}},
		{"a method of packing that is not known", func(d *draft) { d.at("docs/CHANGES").method = 12 },
			model.Refused, []string{"docs/CHANGES", "method 12"}},
		{"a file longer than it states", func(d *draft) {
			d.at("bin/linux/arm64/theseusd").lie = func(h *zip.FileHeader) { h.UncompressedSize64 -= 3 }
		}, model.Refused, []string{"bin/linux/arm64/theseusd", "damaged"}},
		{"a file shorter than it states", func(d *draft) {
			d.at("bin/linux/arm64/theseusd").lie = func(h *zip.FileHeader) { h.UncompressedSize64 += 3 }
		}, model.Refused, []string{"bin/linux/arm64/theseusd", "damaged"}},
		{"a size beyond counting", func(d *draft) {
			d.at("docs/CHANGES").lie = func(h *zip.FileHeader) {
				h.UncompressedSize64, h.CompressedSize64 = math.MaxUint64-1, math.MaxUint64-1
			}
		}, model.Refused, []string{"docs/CHANGES", "size"}},
		{"files that overlap", func(d *draft) {
			for i := range d.parts {
				d.parts[i].lie = func(h *zip.FileHeader) { h.CompressedSize64 += 4000 }
			}
		}, model.Refused, []string{"overlap"}},
		{"a wrong checksum in the zip itself", func(d *draft) {
			d.at("docs/CHANGES").lie = func(h *zip.FileHeader) { h.CRC32++ }
		}, model.Refused, []string{"docs/CHANGES", "damaged"}},
		{"deflated bytes that cannot be", func(d *draft) {
			d.at("docs/CHANGES").lie = func(h *zip.FileHeader) { h.Method = zip.Deflate }
		}, model.Refused, []string{"docs/CHANGES", "damaged"}},
		{"a file of too high a ratio", func(d *draft) {
			d.add(part{name: "zeros", body: strings.Repeat("\x00", 8<<20), method: zip.Deflate})
		}, model.TooLarge, []string{"zeros", "100 times"}},
	}, key, trust, Zip)
}

// resign signs the sums and changes a character of them afterwards.
func resign(d *draft, key Key, from, to string) {
	text := string(d.sums.format())
	d.key = nil
	d.tail = []part{{name: signatureName, body: string(key.sign([]byte(text), "test"))}}
	d.text = new(strings.Replace(text, from, to, 1))
}

func checkProblem(t *testing.T, err error, kind model.Kind, names ...string) {
	t.Helper()
	var p *model.Problem
	if !errors.As(err, &p) || p.Kind != kind {
		t.Fatalf("got %v (kind %q), want a problem of kind %q", err, model.KindOf(err), kind)
	}
	for _, name := range names {
		if !strings.Contains(p.Error(), name) {
			t.Errorf("%q does not name %q", p.Error(), name)
		}
	}
	if !strings.Contains(p.Error(), ": ") || strings.Contains(p.Error(), "staging.") {
		t.Errorf("%q is not for people", p.Error())
	}
}

func TestWhatIsNoArchiveIsMalformed(t *testing.T) {
	key, trust := newKey(t)
	whole := good(&key).bytes(t)
	rows := []struct {
		what    string
		archive []byte
		names   string
	}{
		{"empty", nil, "empty"},
		{"text", []byte("<html>404 not found</html>"), "neither a zip nor a tar.gz archive"},
		{"a single byte", []byte("P"), "neither a zip nor a tar.gz archive"},
		{"gzip of nothing known", zipped(t, []byte(strings.Repeat("hello", 1000))), "neither a zip nor a tar.gz archive"},
		{"gzip of a zip", zipped(t, whole), "neither a zip nor a tar.gz archive"},
		{"gzip of nothing", zipped(t, nil), "truncated"},
		{"gzip of a little", zipped(t, []byte("hello")), "truncated"},
		{"only the mark of gzip", []byte("\x1f\x8b"), "truncated"},
		{"a tar file as it is", good(&key).tar(t), "neither a zip nor a tar.gz archive"},
		{"a tar.gz without files", zipped(t, make([]byte, 10240)), "without files"},
		{"the program itself", append([]byte("\x7fELF"), whole...), "neither a zip nor a tar.gz archive"},
		{"a zip archive without files", pack(t, nil), "without files"},
		{"only the mark", []byte("PK\x03\x04"), "truncated"},
		{"cut in the middle", whole[:len(whole)/2], "truncated"},
		{"cut by one byte", whole[:len(whole)-1], "truncated"},
		{"cut at its beginning", whole[7:], "neither a zip nor a tar.gz archive"},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			_, err := verify(t, r.archive, DefaultLimits(), trust)
			checkProblem(t, err, model.Malformed, r.names)
		})
	}
}

func TestAPackageCutAnywhereIsNeverTaken(t *testing.T) {
	key, trust := newKey(t)
	for _, f := range formats {
		whole := good(&key).in(t, f)
		for n := range whole {
			if _, err := verify(t, whole[:n], DefaultLimits(), trust); model.KindOf(err) == "" {
				t.Fatalf("%s cut after %d of %d bytes: %v", f, n, len(whole), err)
			}
		}
	}
}

// Every byte of the archive is vouched for, or is one that unpacking does not use.
func TestNoSingleWrongByteChangesWhatAPackageHolds(t *testing.T) {
	key, trust := newKey(t)
	for _, f := range formats {
		whole := good(&key).in(t, f)
		want, err := verify(t, whole, DefaultLimits(), trust)
		if err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			spoiled := bytes.Clone(whole)
			spoiled[n] ^= 0x20
			got, err := verify(t, spoiled, DefaultLimits(), trust)
			if err == nil && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s, byte %d of %d wrong: taken, with %v instead of %v", f, n, len(whole), got, want)
			}
		}
	}
}

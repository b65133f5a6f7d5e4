package staging

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// Whatever comes in: it is refused with a problem, or it holds what it states.
func FuzzPackage(f *testing.F) {
	key, trust := newKey(f)
	trust.AllowUnsigned = true
	f.Add(good(nil).bytes(f))
	f.Add(good(&key).bytes(f))
	f.Add(pack(f, nil))
	f.Add(good(&key).in(f, TarGz))
	f.Add(moving(nil).bytes(f))
	f.Add(moving(&key).in(f, TarGz))
	f.Fuzz(func(t *testing.T, archive []byte) { holdsWhatItStates(t, archive, trust) })
}

// The same for what a gzip file with sums that fit unpacks to.
func FuzzTar(f *testing.F) {
	f.Add(good(nil).tar(f))
	d := good(nil)
	d.tail = []part{{name: strings.Repeat("long", 40), body: "x"}, {name: "x", pax: record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")}}
	f.Add(d.tar(f))
	f.Add(moving(nil).tar(f))
	f.Fuzz(func(t *testing.T, body []byte) { holdsWhatItStates(t, zipped(t, body), Trust{AllowUnsigned: true}) })
}

func holdsWhatItStates(t *testing.T, archive []byte, trust Trust) {
	t.Helper()
	limits := Limits{Size: 1 << 20, Entries: 50, Ratio: 20}
	facts, err := verify(t, archive, limits, trust)
	if err != nil {
		if model.KindOf(err) == "" {
			t.Fatalf("no problem: %v", err)
		}
		return
	}
	p, err := Open(bytes.NewReader(archive), int64(len(archive)), limits)
	if err != nil {
		t.Fatal(err)
	}
	for platform, image := range facts.Images {
		r, size, err := p.Binary(platform)
		isWhole(t, platform, image, r, size, err)
	}
	for _, m := range facts.Migrations {
		for platform, image := range m.Images {
			r, size, err := p.Migration(m.Name, platform)
			isWhole(t, m.Name+" for "+platform, image, r, size, err)
		}
	}
}

// isWhole reads an open program and holds it to its image.
func isWhole(t *testing.T, what, image string, r io.Reader, size int64, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil || int64(len(body)) != size || imageOf(string(body)) != image {
		t.Fatalf("%s: %d bytes, stated %d, %v", what, len(body), size, err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(goodManifest))
	f.Add([]byte(ruled("3.6.0")))
	f.Add([]byte("name: &a [*a]\n"))
	f.Add([]byte(migratingManifest))
	f.Add([]byte(goodManifest + "migrations: [{phase: task, name: 1e3}, {name: a, phase: expand, deadline: 61s, memory: 1025KiB}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			var p *model.Problem
			if !errors.As(err, &p) || p.Kind != model.Refused {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		again, err := parseManifest(m.format())
		if diff := cmp.Diff(m, again); err != nil || diff != "" {
			t.Fatalf("written and read again: %v\n%s", err, diff)
		}
	})
}

func FuzzSums(f *testing.F) {
	f.Add(good(nil).sums.format())
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseSums(text)
		if err != nil {
			if model.KindOf(err) != model.Refused {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		again, err := parseSums(all.format())
		if diff := cmp.Diff(all, again); err != nil || diff != "" {
			t.Fatalf("written and read again: %v\n%s", err, diff)
		}
	})
}

package catalog

import (
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestBuildSaysWhatTheDirectoryHolds(t *testing.T) {
	s := newStall(t)
	s.put("README", "no package")
	s.put(".theseus.zip", "nor this")
	items := s.build()
	got := map[string]string{}
	for _, it := range items {
		info, err := os.Stat(filepath.Join(s.dir, it.File))
		if err != nil || info.Size() != it.Size || len(it.Platforms) != 1 || it.Platforms[0] != "linux/amd64" {
			t.Errorf("%+v: %v", it, err)
		}
		got[it.Reference()] = it.Channel
	}
	want := map[string]string{"theseus-1.0.0": "stable", "theseus-1.1.0": "stable", "theseus-1.2.0-rc.1": "testing"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(items, s.open(s.dir).Items()); diff != "" {
		t.Errorf("what is read is not what was built (-built +read):\n%s", diff)
	}
}

func TestWhatWasWrittenByHandOutlivesAnotherBuild(t *testing.T) {
	s := newStall(t)
	text := strings.Replace(s.text(indexName), "channel: stable", "channel: lts\n    description: 'kept: for long'", 1) // of 1.1.0
	s.put(indexName, text)                                                                                              // signed by nobody
	s.pack("theseus-1.3.0.zip", "1.3.0", s.key)
	s.build()
	c := s.open(s.dir)
	if it := s.find(c, "theseus-lts"); it.Version != "1.1.0" || it.Description != "kept: for long" {
		t.Errorf("got %+v", it)
	}
	if it := s.find(c, "theseus"); it.Version != "1.3.0" {
		t.Errorf("got %+v", it)
	}
	s.pack("theseus-1.1.0.zip", "1.1.1", s.key) // what was said is of other bytes
	s.build()
	if _, err := s.open(s.dir).Find("theseus-lts"); model.KindOf(err) != model.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestBuildTakesNothingThatAReaderWouldRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *stall)
		kind  model.Kind
		word  string
	}{
		"no package":          {func(s *stall) { s.put("theseus-9.zip", "hello") }, model.Malformed, "theseus-9.zip: "},
		"a package of nobody": {func(s *stall) { s.pack("theseus-9.zip", "9.0.0", nil) }, model.Refused, "theseus-9.zip: "},
		"a stranger's":        {func(s *stall) { s.pack("theseus-9.zip", "9.0.0", newKey(s.T)) }, model.Refused, "theseus-9.zip: "},
		"a version twice":     {func(s *stall) { s.pack("again.zip", "1.1.0", s.key) }, model.Refused, "again.zip"},
		"an unfit name":       {func(s *stall) { s.pack("theseus 9.zip", "9.0.0", s.key) }, model.Refused, "theseus 9.zip: file"},
		"a broken index":      {func(s *stall) { s.put(indexName, "items: [") }, model.Refused, "mend the catalog.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStall(t)
			c.spoil(s)
			index, sig := s.text(indexName), s.text(signatureName)
			_, err := Build(t.Context(), s.dir, s.trust, s.key)
			refusal(t, err, c.kind, "build the catalog "+s.dir, c.word)
			if s.text(indexName) != index || s.text(signatureName) != sig {
				t.Error("the index that was there is another one now")
			}
		})
	}
	_, err := Build(t.Context(), t.TempDir(), staging.Trust{AllowUnsigned: true}, nil)
	refusal(t, err, model.NotFound, "holds no package")
	_, err = Build(t.Context(), filepath.Join(t.TempDir(), "gone"), staging.Trust{AllowUnsigned: true}, nil)
	if err == nil {
		t.Error("a directory that is not there was built")
	}
}

func TestACatalogBuiltWithoutAKeyHasNoSignature(t *testing.T) {
	s := newStall(t)
	_, err := Build(t.Context(), s.dir, staging.Trust{AllowUnsigned: true}, nil)
	check(t, err)
	if _, err := os.Stat(filepath.Join(s.dir, signatureName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the signature of the index before: %v", err)
	}
	in, err := Open(t.Context(), s.dir, staging.Trust{AllowUnsigned: true})
	if err != nil || in.Signer != "" {
		t.Errorf("signer %q, %v", in.Signer, err)
	}
}

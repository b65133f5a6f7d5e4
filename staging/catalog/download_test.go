package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

func TestADownloadIsThePackageAndNothingElse(t *testing.T) {
	s := newStall(t)
	s.both(func(t *testing.T, where string) {
		c := s.open(where)
		dir := t.TempDir()
		target := filepath.Join(dir, "upgrade.zip")
		check(t, os.WriteFile(target, []byte("an older one"), 0o600))
		item := s.find(c, "theseus")
		var last int64
		facts, err := c.Download(t.Context(), item, target, func(have int64) { last = have })
		check(t, err)
		if facts.Version != "1.1.0" || !facts.Trusted || last != item.Size {
			t.Errorf("got %+v, %d of %d bytes watched", facts, last, item.Size)
		}
		got, err := os.ReadFile(target)
		if err != nil || string(got) != s.text(item.File) {
			t.Errorf("got %d other bytes, %v", len(got), err)
		}
		if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if diff := cmp.Diff([]string{"upgrade.zip"}, names(t, dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

func TestWhatDoesNotFitLeavesTheTargetAlone(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *stall)
		kind  model.Kind
		word  string
	}{
		"one byte changed": {func(s *stall) {
			text := []byte(s.text("theseus-1.1.0.zip"))
			text[len(text)/2] ^= 1
			s.put("theseus-1.1.0.zip", string(text))
		}, model.Refused, "has the sha256"},
		"shorter":   {func(s *stall) { s.put("theseus-1.1.0.zip", "short") }, model.Refused, "is 5 bytes long"},
		"longer":    {func(s *stall) { s.put("theseus-1.1.0.zip", s.text("theseus-1.1.0.zip")+"x") }, model.Refused, "bytes long"},
		"not there": {func(s *stall) { check(s.T, os.Remove(filepath.Join(s.dir, "theseus-1.1.0.zip"))) }, model.NotFound, "theseus-1.1.0.zip"},
		"another version inside": {func(s *stall) {
			s.replace("version: 1.1.0", "version: 1.1.5")
		}, model.Refused, "is of version 1.1.0, catalog.yaml says 1.1.5"},
		"another platform inside": {func(s *stall) {
			s.replace("[linux/amd64]", "[linux/arm64]")
		}, model.Refused, "is for [linux/amd64], catalog.yaml says [linux/arm64]"},
		"a package of nobody": {func(s *stall) { s.swap(nil) }, model.Refused, "it is not signed"},
		"a stranger's":        {func(s *stall) { s.swap(newKey(s.T)) }, model.Refused, "not trusted here"},
		"no package": {func(s *stall) {
			s.put("theseus-1.1.0.zip", "hello")
			items, err := parseIndex([]byte(s.text(indexName)))
			check(s.T, err)
			items[1].Size, items[1].SHA256 = 5, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
			text, err := formatIndex(items)
			check(s.T, err)
			s.sign(string(text))
		}, model.Refused, "archive"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStall(t)
			c.spoil(s)
			s.both(func(t *testing.T, where string) {
				in := s.open(where)
				dir := t.TempDir()
				target := filepath.Join(dir, "upgrade.zip")
				check(t, os.WriteFile(target, []byte("an older one"), 0o600))
				_, err := in.Download(t.Context(), in.Items()[1], target, nil)
				refusal(t, err, c.kind, "from "+where, "to "+target, c.word)
				if got, err := os.ReadFile(target); err != nil || string(got) != "an older one" {
					t.Errorf("the target holds %d bytes, %v", len(got), err)
				}
				if diff := cmp.Diff([]string{"upgrade.zip"}, names(t, dir)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// swap lets the index list 1.1.0 as signed by another key.
func (s *stall) swap(key *staging.Key) {
	s.pack("theseus-1.1.0.zip", "1.1.0", key)
	trust := s.trust
	trust.AllowUnsigned = true
	_, err := Build(s.Context(), s.dir, trust, s.key)
	check(s.T, err)
}

func TestATargetThatIsNoFileIsToldAtOnce(t *testing.T) {
	s := newStall(t)
	c := s.open(s.dir)
	dir := t.TempDir()
	_, err := c.Download(t.Context(), s.find(c, "theseus"), dir, nil)
	refusal(t, err, model.Malformed, "is no file")
	_, err = c.Download(t.Context(), s.find(c, "theseus"), filepath.Join(dir, "gone", "x.zip"), nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

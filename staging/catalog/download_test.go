package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// line cuts the answers for packages short, and writes down what was asked and how
// many bytes went out.
type line struct {
	mu    sync.Mutex
	cuts  []int // bytes after which the next answers are cut; those later are not
	asked []string
	sent  int
	tag   string // ETag of the answers, if any
	whole bool   // Range is not understood
}

func (l *line) handle(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !strings.HasSuffix(r.URL.Path, ".zip") {
		next.ServeHTTP(w, r)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprintf("Range %q If-Range %q", r.Header.Get("Range"), r.Header.Get("If-Range")))
	if l.tag != "" {
		w.Header().Set("ETag", l.tag)
	}
	if l.whole {
		r.Header.Del("Range")
	}
	out := &cutter{ResponseWriter: w, left: 1 << 30}
	if len(l.cuts) > 0 {
		out.left, l.cuts = l.cuts[0], l.cuts[1:]
	}
	defer func() { l.sent += out.sent }()
	next.ServeHTTP(out, r)
	if out.cut {
		panic(http.ErrAbortHandler)
	}
}

// locked runs do when no answer is under way.
func (l *line) locked(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

type cutter struct {
	http.ResponseWriter
	left, sent int
	cut        bool
}

func (c *cutter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	c.left, c.sent = c.left-n, c.sent+n
	if err == nil && n < len(b) {
		c.cut = true
		err = errors.Join(errors.New("cut"), http.NewResponseController(c.ResponseWriter).Flush())
	}
	return n, err
}

func TestACutDownloadGoesOnByItself(t *testing.T) {
	for name, tag := range map[string]string{"by its tag": `"one"`, "by the time of its change": "", "by a tag too weak": `W/"one"`} {
		t.Run(name, func(t *testing.T) {
			s := newStall(t)
			l := &line{cuts: slices.Repeat([]int{100_000}, tries+2), tag: tag} // more than tries, but each after some bytes
			c := s.open(s.serve(l.handle))
			item := s.find(c, "theseus")
			target := filepath.Join(t.TempDir(), "upgrade.zip")
			_, err := c.Download(t.Context(), item, target, nil)
			check(t, err)
			info, err := os.Stat(filepath.Join(s.dir, item.File))
			check(t, err)
			want := []string{`Range "" If-Range ""`}
			for i := range tries + 2 {
				want = append(want, fmt.Sprintf("Range %q If-Range %q", fmt.Sprintf("bytes=%d-", 100_000*(i+1)), ifRange(tag, info)))
			}
			l.locked(func() {
				if int64(l.sent) != item.Size {
					t.Errorf("%d bytes were sent for %d", l.sent, item.Size)
				}
				if diff := cmp.Diff(want, l.asked); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func ifRange(tag string, info os.FileInfo) string {
	if tag == "" || strings.HasPrefix(tag, "W/") {
		return info.ModTime().UTC().Format(http.TimeFormat)
	}
	return tag
}

func TestABrokenDownloadIsGoneOnWithNextTime(t *testing.T) {
	for name, c := range map[string]struct {
		between func(s *stall, l *line, part string)
		anew    bool // all bytes are sent again
	}{
		"all as it was":       {func(*stall, *line, string) {}, false},
		"another tag":         {func(_ *stall, l *line, _ string) { l.tag = `"two"` }, true},
		"no ranges":           {func(_ *stall, l *line, _ string) { l.whole = true }, true},
		"no note":             {func(s *stall, _ *line, part string) { check(s.T, os.Remove(part+".of")) }, true},
		"note of another one": {func(s *stall, _ *line, part string) { write(s.T, part+".of", "abcd\n\n") }, true},
		"more than there is":  {func(s *stall, _ *line, part string) { write(s.T, part, strings.Repeat("x", 2<<20)) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStall(t)
			l := &line{cuts: []int{300_000, 0, 0, 0}, tag: `"one"`}
			where := s.serve(l.handle)
			dir := t.TempDir()
			item := s.breakOff(where, dir)
			l.locked(func() {
				l.sent = 0
				c.between(s, l, filepath.Join(dir, ".u.zip.part"))
			})
			_, err := s.open(where).Download(t.Context(), item, filepath.Join(dir, "u.zip"), nil)
			check(t, err)
			want := int(item.Size)
			if !c.anew {
				want -= 300_000
			}
			l.locked(func() {
				if l.sent != want {
					t.Errorf("%d bytes were sent the second time, want %d of %d", l.sent, want, item.Size)
				}
			})
			if diff := cmp.Diff([]string{"u.zip"}, names(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// breakOff downloads to u.zip in dir as far as 300,000 bytes.
func (s *stall) breakOff(where, dir string) Item {
	s.Helper()
	c := s.open(where)
	item := s.find(c, "theseus")
	_, err := c.Download(s.Context(), item, filepath.Join(dir, "u.zip"), nil)
	refusal(s.T, err, model.Unavailable, fmt.Sprintf("300000 of %d bytes are there; the same command goes on", item.Size))
	if diff := cmp.Diff([]string{".u.zip.part", ".u.zip.part.of"}, names(s.T, dir)); diff != "" {
		s.Fatalf("files (-want +got):\n%s", diff)
	}
	return item
}

func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestWhatWasDamagedSinceIsFetchedAnew(t *testing.T) {
	s := newStall(t)
	l := &line{cuts: []int{300_000, 0, 0, 0}, tag: `"one"`}
	where := s.serve(l.handle)
	dir := t.TempDir()
	item := s.breakOff(where, dir)
	part := filepath.Join(dir, ".u.zip.part")
	text, err := os.ReadFile(part)
	check(t, err)
	write(t, part, string(bytes.Repeat([]byte{0}, len(text)))) // as a power cut may leave it
	_, err = s.open(where).Download(t.Context(), item, filepath.Join(dir, "u.zip"), nil)
	check(t, err)
	if got := s.text(item.File); got == "" || got != read(t, filepath.Join(dir, "u.zip")) {
		t.Errorf("another file than that of the catalog came")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

func TestADownloadOfAnotherItemToTheSamePlaceBeginsAnew(t *testing.T) {
	s := newStall(t)
	where := s.serve((&line{cuts: []int{300_000, 0, 0, 0}}).handle)
	dir := t.TempDir()
	s.breakOff(where, dir)
	c := s.open(where)
	_, err := c.Download(t.Context(), s.find(c, "theseus-1.0.0"), filepath.Join(dir, "u.zip"), nil)
	check(t, err)
	if read(t, filepath.Join(dir, "u.zip")) != s.text("theseus-1.0.0.zip") {
		t.Error("the two were mixed")
	}
}

func TestOneDownloadToAPlaceAtATime(t *testing.T) {
	s := newStall(t)
	c := s.open(s.dir)
	item := s.find(c, "theseus")
	target := filepath.Join(t.TempDir(), "u.zip")
	var second error
	_, err := c.Download(t.Context(), item, target, func(int64) {
		if second == nil {
			_, second = c.Download(t.Context(), item, target, nil)
		}
	})
	check(t, err)
	refusal(t, second, model.Conflict, "another download to the same file is under way")
	check(t, os.Remove(target))
	_, err = c.Download(t.Context(), item, target, nil)
	check(t, err)
}

// Who opened the file before it got its name must not write to what it is now.
func TestWhoComesLateDoesNotWriteToWhatHasItsName(t *testing.T) {
	target := filepath.Join(t.TempDir(), "u.zip")
	p, err := openPartial(target, Item{SHA256: sha})
	check(t, err)
	f, err := os.OpenFile(p.path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	check(t, p.become(target))
	p.close()
	late := partial{path: p.path, file: f}
	refusal(t, late.lock(), model.Conflict, "another download")
	write(t, p.path, "") // a third one begins
	refusal(t, late.lock(), model.Conflict, "another download")
}

func TestAnInterruptedDownloadIsKept(t *testing.T) {
	s := newStall(t)
	s.both(func(t *testing.T, where string) {
		c := s.open(where)
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := c.Download(ctx, s.find(c, "theseus"), filepath.Join(dir, "u.zip"), func(int64) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff([]string{".u.zip.part", ".u.zip.part.of"}, names(t, dir)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}

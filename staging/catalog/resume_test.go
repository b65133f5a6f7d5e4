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
)

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

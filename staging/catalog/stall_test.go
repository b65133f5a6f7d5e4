package catalog

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

// stall is a directory with packages of 1.0.0, 1.1.0 and 1.2.0-rc.1, which Build
// made a catalog.
type stall struct {
	*testing.T
	dir   string
	key   *staging.Key
	trust staging.Trust // in key
}

func newStall(t *testing.T) *stall {
	t.Helper()
	s := &stall{T: t, dir: t.TempDir(), key: newKey(t)}
	s.trust = trustIn(t, s.key)
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0-rc.1"} {
		s.pack("theseus-"+version+".zip", version, s.key)
	}
	s.build()
	return s
}

func newKey(t *testing.T) *staging.Key {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	check(t, staging.Keygen(path, ""))
	key, err := staging.LoadKey(path, "")
	check(t, err)
	return &key
}

func trustIn(t *testing.T, key *staging.Key) staging.Trust {
	t.Helper()
	trust, err := staging.LoadTrust([]string{key.Public()}, false)
	check(t, err)
	return trust
}

// pack puts a package into the directory, large enough to come in several parts.
func (s *stall) pack(file, version string, key *staging.Key) {
	s.Helper()
	bin := s.TempDir()
	body := []byte("daemon " + version + "\n" + strings.Repeat("0123456789abcdef", 48<<10))
	check(s.T, os.WriteFile(filepath.Join(bin, "theseusd"), body, 0o755))
	r := staging.Recipe{Version: version, Bins: map[string]string{"linux/amd64": bin}, Key: key}
	check(s.T, staging.BuildFile(filepath.Join(s.dir, file), r))
}

func (s *stall) build() []Item {
	s.Helper()
	items, err := Build(s.Context(), s.dir, s.trust, s.key)
	check(s.T, err)
	return items
}

// sign replaces the index by text and signs it.
func (s *stall) sign(text string) {
	s.Helper()
	s.put(indexName, text)
	s.put(signatureName, string(s.key.SignDocument([]byte(text), "")))
}

func (s *stall) put(file, text string) {
	s.Helper()
	check(s.T, os.WriteFile(filepath.Join(s.dir, file), []byte(text), 0o644))
}

func (s *stall) text(file string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	check(s.T, err)
	return string(text)
}

// replace changes something in the index and signs it again.
func (s *stall) replace(old, new string) {
	s.Helper()
	text := s.text(indexName)
	if !strings.Contains(text, old) {
		s.Fatalf("the index has no %q:\n%s", old, text)
	}
	s.sign(strings.ReplaceAll(text, old, new))
}

// serve is an address of what lies in the directory, with h in front if given.
func (s *stall) serve(h func(w http.ResponseWriter, r *http.Request, next http.Handler)) string {
	s.Helper()
	next := http.FileServer(http.Dir(s.dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h == nil {
			next.ServeHTTP(w, r)
			return
		}
		h(w, r, next)
	}))
	s.Cleanup(server.Close)
	return server.URL
}

// open opens the catalog at where; between two tries it does not rest.
func (s *stall) open(where string) *Catalog {
	s.Helper()
	c, err := Open(s.Context(), where, s.trust)
	check(s.T, err)
	c.pause = 0
	return c
}

func (s *stall) find(c *Catalog, reference string) Item {
	s.Helper()
	item, err := c.Find(reference)
	check(s.T, err)
	return item
}

// both runs do on the catalog as a directory and as an address.
func (s *stall) both(do func(t *testing.T, where string)) {
	s.Helper()
	s.Run("directory", func(t *testing.T) { do(t, s.dir) })
	s.Run("address", func(t *testing.T) { do(t, s.serve(nil)) })
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusal checks that err is a problem of kind that says all of words.
func refusal(t *testing.T, err error, kind model.Kind, words ...string) {
	t.Helper()
	if err == nil || model.KindOf(err) != kind {
		t.Fatalf("got %v of kind %q, want %q", err, model.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nsays nothing of %q", err, w)
		}
	}
}

// names are the files in dir, hidden ones too.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, e.Name())
		}
		return err
	}))
	return all
}

package catalog

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

func TestANameMeansOneItem(t *testing.T) {
	s := newStall(t)
	c := s.open(s.dir)
	for reference, want := range map[string]string{
		"theseus":             "1.1.0",
		"theseus-stable":      "1.1.0",
		"theseus-testing":     "1.2.0-rc.1",
		"theseus-1.0.0":       "1.0.0",
		"theseus-v1.0.0":      "1.0.0",
		"theseus-1.2.0-rc.1":  "1.2.0-rc.1",
		"theseus-v1.2.0-rc.1": "1.2.0-rc.1",
	} {
		if item, err := c.Find(reference); err != nil || item.Version != want {
			t.Errorf("%s: %s, %v; want %s", reference, item.Version, err, want)
		}
	}
	for reference, word := range map[string]string{
		"theseus-1.3.0": "it has theseus-1.2.0-rc.1 (testing), theseus-1.1.0 (stable), theseus-1.0.0 (stable)",
		"theseus-1.1":   "it has", "theseus-": "it has", "": "it has", "drp": "it has", "theseus-vstable": "it has",
		"theseus@1.1.0": "a name is written", "catalog:theseus": "a name is written",
	} {
		_, err := c.Find(reference)
		refusal(t, err, model.NotFound, s.dir, word)
	}
}

func TestTheIndexIsHeldToItsSignature(t *testing.T) {
	nobody := staging.Trust{AllowUnsigned: true}
	for name, c := range map[string]struct {
		spoil func(s *stall)
		trust func(s *stall) staging.Trust // that of the stall if nil
		word  string                       // of the refusal, "" if there is none
	}{
		"in order":        {spoil: func(*stall) {}},
		"not signed":      {spoil: unsign, word: "catalog.yaml is not signed"},
		"another signed":  {spoil: func(s *stall) { s.key = newKey(s.T); s.sign(s.text(indexName)) }, word: "is not trusted here"},
		"changed since":   {spoil: func(s *stall) { s.put(indexName, s.text(indexName)+"\n") }, word: "was changed after it was signed"},
		"no signature":    {spoil: func(s *stall) { s.put(signatureName, "hello\n") }, word: "cannot be read"},
		"a page for it":   {spoil: func(s *stall) { s.put(signatureName, "<html>") }, trust: func(*stall) staging.Trust { return nobody }, word: "cannot be read"},
		"nobody, allowed": {spoil: unsign, trust: func(*stall) staging.Trust { return nobody }},
		"stranger, allowed": {spoil: func(s *stall) { s.key = newKey(s.T); s.sign(s.text(indexName)) },
			trust: func(*stall) staging.Trust { return nobody }},
		"changed, unsigned allowed": {spoil: func(s *stall) { s.put(indexName, s.text(indexName)+"\n") },
			trust: func(s *stall) staging.Trust { s.trust.AllowUnsigned = true; return s.trust }, word: "was changed after it was signed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStall(t)
			c.spoil(s)
			trust := s.trust
			if c.trust != nil {
				trust = c.trust(s)
			}
			s.both(func(t *testing.T, where string) {
				in, err := Open(t.Context(), where, trust)
				if c.word != "" {
					refusal(t, err, model.Refused, "read catalog "+where, c.word)
				} else if err != nil || len(in.Items()) != 3 {
					t.Errorf("got %v, %v", in, err)
				}
			})
		})
	}
}

func unsign(s *stall) { check(s.T, os.Remove(filepath.Join(s.dir, signatureName))) }

func TestWhereThereIsNoCatalogItSaysSo(t *testing.T) {
	s := newStall(t)
	check(t, os.Remove(filepath.Join(s.dir, indexName)))
	s.both(func(t *testing.T, where string) {
		_, err := Open(t.Context(), where, s.trust)
		refusal(t, err, model.NotFound, where, indexName)
	})
	for where, want := range map[string]struct {
		kind model.Kind
		word string
	}{
		"":                           {model.Malformed, "no place"},
		filepath.Join(s.dir, "gone"): {model.NotFound, "there is no directory"},
		"ftp://host/path":            {model.Malformed, "http:// or https://"},
		"http://":                    {model.Malformed, "not the address of a directory"},
		"http://host/path?token=1":   {model.Malformed, "without ? and #"},
		"https://u:secret@host/%zz":  {model.Malformed, "https://host/%zz"},
		"http://127.0.0.1:1/":        {model.Unavailable, "refused"},
	} {
		_, err := Open(t.Context(), where, s.trust)
		refusal(t, err, want.kind, want.word)
	}
}

func TestADirectoryGivesOutNothingButItsFiles(t *testing.T) {
	s := newStall(t)
	outside := filepath.Join(t.TempDir(), indexName)
	check(t, os.WriteFile(outside, []byte(s.text(indexName)), 0o644))
	index := filepath.Join(s.dir, indexName)
	for name, c := range map[string]struct {
		make func() error
		kind model.Kind
		word string
	}{
		"link that leads out": {func() error { return os.Symlink(outside, index) }, "", "escapes"},
		"directory":           {func() error { return os.Mkdir(index, 0o755) }, model.Refused, "not a regular file"},
		"named pipe":          {func() error { return syscall.Mkfifo(index, 0o644) }, model.Refused, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, os.Remove(index))
			check(t, c.make())
			_, err := Open(t.Context(), s.dir, s.trust)
			refusal(t, err, c.kind, c.word)
		})
	}
}

func TestAnAnswerMeansWhatItsStatusSays(t *testing.T) {
	s := newStall(t)
	for status, want := range map[int]model.Kind{
		401: model.Unauthorized, 403: model.Forbidden, 404: model.NotFound, 410: model.NotFound,
		206: model.Refused, 429: model.Unavailable, 500: model.Unavailable, 503: model.Unavailable, 204: model.Unavailable,
	} {
		where := s.serve(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(status) })
		_, err := Open(t.Context(), where, s.trust)
		refusal(t, err, want, indexName)
	}
}

func TestALoginInTheAddressIsSentAndNotShown(t *testing.T) {
	s := newStall(t)
	var logins []string
	where := s.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		user, password, _ := r.BasicAuth()
		logins = append(logins, user+":"+password)
		next.ServeHTTP(w, r)
	})
	c := s.open("http://reader:secret@" + where[len("http://"):])
	for _, login := range logins {
		if login != "reader:secret" {
			t.Errorf("asked as %q", login)
		}
	}
	_, err := c.Find("nothing")
	refusal(t, err, model.NotFound, "http://reader:xxxxx@")
}

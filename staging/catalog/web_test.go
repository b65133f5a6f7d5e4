package catalog

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
)

func TestWhoSendsUsOnMayNotChangeTheScheme(t *testing.T) {
	s := newStall(t)
	files := http.FileServer(http.Dir(s.dir))
	plain := httptest.NewServer(files)
	defer plain.Close()
	safe := httptest.NewTLSServer(files)
	defer safe.Close()
	to := func(where string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, where+r.URL.Path, http.StatusFound)
		})
	}
	for name, c := range map[string]struct {
		server *httptest.Server
		word   string
	}{
		"http to http":   {httptest.NewServer(to(plain.URL)), ""},
		"http to https":  {httptest.NewServer(to(safe.URL)), "from http to " + safe.URL},
		"https to https": {httptest.NewTLSServer(to(safe.URL)), ""},
		"https to http":  {httptest.NewTLSServer(to(plain.URL)), "from https to " + plain.URL},
		"elsewhere":      {httptest.NewServer(to("ftp://127.0.0.1")), "from http to ftp://"},
		"for ever":       {httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) })), "more than 10 times"},
	} {
		t.Run(name, func(t *testing.T) {
			defer c.server.Close()
			w, err := newWeb(c.server.URL)
			check(t, err)
			w.client.Transport = safe.Client().Transport // it trusts the servers of this test
			text, err := small(t.Context(), w, indexName, indexLimit)
			if c.word != "" {
				refusal(t, err, model.Refused, c.word)
			} else if err != nil || string(text) != s.text(indexName) {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

func TestACertificateThatNobodyVouchesForIsToldWithAWayOut(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	defer server.Close()
	_, err := Open(t.Context(), server.URL, trustIn(t, newKey(t)))
	refusal(t, err, model.Unavailable, "unknown authority", "SSL_CERT_FILE")
}

func TestAServerThatStandsStillIsGivenUp(t *testing.T) {
	s := newStall(t)
	release := make(chan struct{})
	defer close(release)
	where := s.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if filepath.Ext(r.URL.Path) != ".zip" {
			next.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, "a little")
		http.NewResponseController(w).Flush()
		<-release
	})
	c := s.open(where)
	c.source.(*web).idle = time.Millisecond
	_, err := c.Download(t.Context(), s.find(c, "theseus"), filepath.Join(t.TempDir(), "u.zip"), nil)
	refusal(t, err, model.Unavailable, "no byte came for 1ms")
}

func TestAnAnswerOfAnotherPartIsRefused(t *testing.T) {
	for text, want := range map[string]bool{
		"bytes 5-9/10": true, "bytes 4-9/10": false, "bytes 5-8/10": false, "bytes 5-9/*": false,
		"bytes */10": false, "bytes 5-9": false, "": false, "5-9/10": true, "bytes -5-9/10": false,
	} {
		if _, fits := parseRange(text, 5); fits != want {
			t.Errorf("%q: %v", text, fits)
		}
	}
}

// An address without a length is read all the same, and held to the index.
func TestAServerThatSaysNoLengthIsHeldToTheIndex(t *testing.T) {
	s := newStall(t)
	item := s.find(s.open(s.dir), "theseus")
	for name, c := range map[string]struct{ text, word string }{
		"all":     {s.text(item.File), ""},
		"shorter": {s.text(item.File)[:1000], "does not have the"},
		"longer":  {s.text(item.File) + "more", "does not have the"},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.open(s.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if filepath.Ext(r.URL.Path) != ".zip" {
					next.ServeHTTP(w, r)
					return
				}
				http.NewResponseController(w).Flush()
				io.WriteString(w, c.text)
			}))
			dir := t.TempDir()
			_, err := in.Download(t.Context(), item, filepath.Join(dir, "u.zip"), nil)
			if c.word == "" {
				check(t, err)
				return
			}
			refusal(t, err, model.Refused, c.word)
			if left := names(t, dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

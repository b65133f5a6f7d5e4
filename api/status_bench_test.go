package api

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// BenchmarkStatus reads the state of an upgrade over one connection, beside a
// handler that writes the same bytes, with the same TLS and login.
func BenchmarkStatus(b *testing.B) {
	m := readyMember(b)
	m.log = newQuiet()
	m.upgrader.profile = &model.Profile{Name: model.TrackingProfile, Params: map[string]any{"transcript": strings.Repeat("a line of it ", 290)}}
	m.upgrader.profile.Fill()
	p, err := m.upgradePage()
	if err != nil {
		b.Fatal(err)
	}
	secret := newSecret()
	m.give(b, secret)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := m.whoIs(r); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", jsonKind)
		w.Header().Set("Content-Length", strconv.Itoa(len(p.data)))
		w.Write(p.data)
	})
	b.Run("bare", func(b *testing.B) { readAgain(b, m.API, bare, secret) })
	b.Run("status", func(b *testing.B) { readAgain(b, m.API, m.API, secret) })
}

func readAgain(b *testing.B, a *API, h http.Handler, secret string) {
	s := newSite(b)
	srv := s.serve(b, a)
	srv.Recover()        // the server before this one left
	srv.http.Handler = h // nobody has connected yet
	c := s.mustDial(b)
	text := request("GET", "/api/v3/system/upgrade/status", "Bearer "+secret, "\r\n")
	for b.Loop() {
		if err := c.send(text); err != nil {
			b.Fatal(err)
		}
		if r, body, err := c.receive("GET"); err != nil || r.StatusCode != 200 {
			b.Fatalf("%v %s %v", r, body, err)
		}
	}
}

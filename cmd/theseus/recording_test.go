package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// recording plays answers of the API that are written down, one a line:
//
//	METHOD PATH STATUS [BODY|@FILE]
//	METHOD PATH drop
//
// PATH is below /api/v3. Answers to the same request are played in their order,
// the last one again and again; drop breaks the connection off. $URL in a body is
// the server's own.
type recording struct {
	*httptest.Server
	dir string

	mu    sync.Mutex
	lines []string
	asked []string // a line per request: method, path, login, body
}

func play(t interface{ Fatal(...any) }, dir string) *recording {
	text, err := os.ReadFile(filepath.Join(dir, "answers"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{dir: dir, lines: strings.Split(strings.TrimSpace(string(text)), "\n")}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	key := req.Method + " " + strings.TrimPrefix(req.URL.RequestURI(), "/api/v3")
	line := r.next(key, fmt.Sprintf("%s %s %s", key, login(req), digest(body)))
	status, answer, _ := strings.Cut(line, " ")
	code, err := strconv.Atoi(status)
	if err != nil {
		panic(http.ErrAbortHandler) // drop, or nothing is recorded
	}
	if name, file := strings.CutPrefix(answer, "@"); file {
		text, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			panic(err)
		}
		answer = string(text)
	}
	answer = strings.ReplaceAll(answer, "$URL", r.URL)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(code)
	io.WriteString(w, answer)
}

func login(req *http.Request) string {
	if user, password, ok := req.BasicAuth(); ok {
		return user + ":" + password
	}
	return strings.ReplaceAll(req.Header.Get("Authorization"), " ", ":")
}

// digest keeps long bodies out of the list of requests.
func digest(body []byte) string {
	if len(body) > 200 {
		return fmt.Sprintf("%d bytes", len(body))
	}
	return string(bytes.TrimSpace(body))
}

// next is the rest of the first line for key that was not played yet.
func (r *recording) next(key, asked string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, strings.TrimSpace(asked))
	found, at, more := "", -1, false
	for i, line := range r.lines {
		if rest, fits := strings.CutPrefix(line, key+" "); fits {
			more = at >= 0
			if more {
				break
			}
			found, at = rest, i
		}
	}
	if more {
		r.lines = append(r.lines[:at:at], r.lines[at+1:]...)
	}
	return found
}

func (r *recording) requests() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.asked, "\n") + "\n"
}

// record writes answers down for a test without a script.
func record(t *testing.T, lines ...string) *recording {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "answers"), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := play(t, dir)
	t.Cleanup(r.Close)
	return r
}

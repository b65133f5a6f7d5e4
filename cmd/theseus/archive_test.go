package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileBehindAnAddressIsPassedOn(t *testing.T) {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/upgrade.zip" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, "an archive")
	}))
	t.Cleanup(shop.Close)
	r := record(t, `POST /system/upgrade/stage 201 {"Path":"sha256:ab","Size":10}`)
	var out, errs bytes.Buffer
	a := &app{version: "1.0.0", stdin: strings.NewReader(""), stdout: &out, stderr: &errs, width: width, env: func(name string) string {
		return map[string]string{"THESEUS_ENDPOINT": r.URL, "THESEUS_TOKEN": "x", "THESEUS_CA_CERT": filepath.Join(r.dir, "ca.pem")}[name]
	}}
	if code := run(t.Context(), a, []string{"system", "upgrade", "stage", shop.URL + "/upgrade.zip"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if got := r.requests(); got != "POST /system/upgrade/stage Bearer:x an archive\n" {
		t.Errorf("asked %q", got)
	}
	if code := run(t.Context(), a, []string{"system", "upgrade", "stage", shop.URL + "/other.zip"}); code != 1 || !strings.Contains(errs.String(), "404 Not Found") {
		t.Errorf("nothing there: exit code %d: %s", code, errs.String())
	}
}

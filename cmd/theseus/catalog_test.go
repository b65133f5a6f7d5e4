package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/staging/catalog"
)

// newCatalog is a directory that is a catalog of one unsigned package, 1.1.0.
func newCatalog(t *testing.T) (dir string) {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "theseusd"), []byte("a daemon"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := staging.Recipe{Version: "1.1.0", Bins: map[string]string{"linux/amd64": bin}}
	if err := staging.BuildFile(filepath.Join(dir, "theseus.zip"), r); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Build(t.Context(), dir, staging.Trust{AllowUnsigned: true}, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAReferenceToACatalogBecomesAFileForAWhile(t *testing.T) {
	dir := newCatalog(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	env := map[string]string{"THESEUS_CATALOG": dir, "THESEUS_ALLOW_UNSIGNED": "true"}
	a := &app{stderr: new(bytes.Buffer), env: func(name string) string { return env[name] }}
	path, cleanup, err := a.catalogFile(t.Context(), "catalog:theseus-1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	want, errWant := os.ReadFile(filepath.Join(dir, "theseus.zip"))
	got, errGot := os.ReadFile(path)
	if !bytes.Equal(got, want) || errors.Join(errWant, errGot) != nil {
		t.Errorf("%d bytes for %d, %v", len(got), len(want), errors.Join(errWant, errGot))
	}
	cleanup()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "theseus.zip"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reference, kind := range map[string]model.Kind{"catalog:theseus": model.Refused, "catalog:theseus-2.0.0": model.NotFound} {
		path, cleanup, err := a.catalogFile(t.Context(), reference)
		if path != "" || model.KindOf(err) != kind {
			t.Errorf("%s: %q, %v", reference, path, err)
		}
		cleanup()
	}
	delete(env, "THESEUS_CATALOG")
	if _, cleanup, err = a.catalogFile(t.Context(), "catalog:theseus"); exitCode(err) != 2 {
		t.Errorf("without a catalog: %v", err)
	}
	cleanup()
	if left, err := os.ReadDir(temp); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestANameInACatalogIsStagedAsAFileIs(t *testing.T) {
	dir := newCatalog(t)
	pkg, err := os.ReadFile(filepath.Join(dir, "theseus.zip"))
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/system/upgrade/stage?sha256=%x", sha256.Sum256(pkg))
	r := record(t, "GET "+path+` 404 {"Model":"uploads","Messages":["nothing of it"],"Code":404}`,
		"POST "+path+` 201 {"Path":"sha256:ab","Size":1}`)
	env := map[string]string{"THESEUS_CATALOG": dir, "THESEUS_ALLOW_UNSIGNED": "true"}
	var stdout, stderr bytes.Buffer
	a := &app{stdout: &stdout, stderr: &stderr, env: func(name string) string { return env[name] }}
	args := []string{"system", "upgrade", "stage", "catalog:theseus-1.1.0", "-k", "-E", r.URL}
	if code := run(t.Context(), a, args); code != 0 {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if want := "POST " + path; !strings.Contains(r.requests(), want) {
		t.Errorf("no %s among what was asked:\n%s", want, r.requests())
	}
	if code := run(t.Context(), a, append([]string{"system", "upgrade", "stage", "catalog:theseus-2.0.0"}, args[4:]...)); code != 3 {
		t.Errorf("what is not in the catalog: exit code %d: %s", code, &stderr)
	}
}

func TestACatalogIsAskedThroughTheProxyOfTheEnvironment(t *testing.T) {
	files := http.FileServer(http.Dir(newCatalog(t)))
	var hosts []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.URL.Host) // only a proxy is told the host in the address
		files.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	r := record(t)
	got := onTerminal(t, r, []string{"http_proxy=" + proxy.URL}, "catalog", "item", "list",
		"--catalog", "http://catalog.example", "--allow-unsigned")
	if !strings.Contains(got, "theseus-1.1.0") {
		t.Errorf("got %q", got)
	}
	if len(hosts) != 2 || hosts[0] != "catalog.example" || hosts[1] != "catalog.example" {
		t.Errorf("the proxy was asked for %q", hosts)
	}
}

func TestADownloadIsOneLineDrawnAgainOnATerminal(t *testing.T) {
	r := record(t)
	got := onTerminal(t, r, nil, "catalog", "item", "download", "theseus", "to", filepath.Join(r.dir, "u.zip"),
		"--catalog", newCatalog(t), "--allow-unsigned")
	const clear = "\r\x1b[K"
	if want := clear + "received 100 % of 0.0 MiB" + clear + "wrote "; !strings.HasPrefix(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

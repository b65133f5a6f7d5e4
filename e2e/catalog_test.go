package e2e

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// newCatalog is a directory that the release key made a catalog of 1.0.0 and 1.1.0.
func newCatalog(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, b := range []Build{v100, v110} {
		check(t, copyFile(archive(t, b), filepath.Join(dir, "theseus-"+b.Version+".zip")))
	}
	must[string](t)(output(within(t), "", nil, cli(t), "catalog", "build", dir, "--key", key(t, "release")))
	return dir
}

// download is what the command line is asked for; it is to end with the package of
// 1.1.0 in the file to.
func download(t *testing.T, where, to string) (args []string) {
	t.Helper()
	return []string{"catalog", "item", "download", "theseus", "to", to,
		"--catalog", where, "--trusted-key", key(t, "release") + ".pub"}
}

func TestACatalogIsADirectoryOrAnAddress(t *testing.T) {
	dir := newCatalog(t)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	for _, where := range []string{dir, server.URL} {
		to := filepath.Join(t.TempDir(), "upgrade.zip")
		out := must[string](t)(output(within(t), "", nil, cli(t), download(t, where, to)...))
		var item struct{ Version, SHA256 string }
		check(t, json.Unmarshal([]byte(out), &item))
		got := must[string](t)(FileImage(to))
		if want := must[string](t)(FileImage(archive(t, v110))); got != want || got != "sha256:"+item.SHA256 || item.Version != v110.Version {
			t.Errorf("%s: got %s, want %s; it said %s", where, got, want, out)
		}
		must[string](t)(output(within(t), "", nil, cli(t), "package", "verify", to, "--trusted-key", key(t, "release")+".pub"))
	}
}

// halving is a server that answers the first request for a package with half of
// it and then nothing, as long as the client is there. It counts the bytes of
// packages that it has sent.
type halving struct {
	files http.Handler
	half  int64
	begun atomic.Bool
	sent  atomic.Int64
}

func (h *halving) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, ".zip") {
		h.files.ServeHTTP(w, r)
		return
	}
	left := int64(math.MaxInt64)
	if h.begun.CompareAndSwap(false, true) {
		left = h.half
	}
	h.files.ServeHTTP(&measured{w, r, left, &h.sent}, r)
}

type measured struct {
	http.ResponseWriter
	r    *http.Request
	left int64 // bytes until it stands still
	sent *atomic.Int64
}

func (c *measured) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	c.sent.Add(int64(n))
	if err == nil && n < len(b) {
		http.NewResponseController(c.ResponseWriter).Flush()
		<-c.r.Context().Done()
		err = c.r.Context().Err()
	}
	return n, err
}

func TestADownloadThatWasKilledGoesOnWhereItWas(t *testing.T) {
	dir := newCatalog(t)
	size := fileSize(t, archive(t, v110))
	h := &halving{files: http.FileServer(http.Dir(dir)), half: size / 2}
	server := httptest.NewServer(h)
	defer server.Close()
	to := filepath.Join(t.TempDir(), "upgrade.zip")
	part := filepath.Join(filepath.Dir(to), ".upgrade.zip.part")

	cmd := exec.CommandContext(within(t), cli(t), download(t, server.URL, to)...)
	check(t, cmd.Start())
	err := Until(within(t), "half of the package on the disk", func() (bool, error) {
		info, err := os.Stat(part)
		return err == nil && info.Size() == h.half, err
	})
	check(t, cmd.Process.Kill())
	cmd.Wait()
	check(t, err)
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("half of it has the name of the whole: %v", err)
	}

	must[string](t)(output(within(t), "", nil, cli(t), download(t, server.URL, to)...))
	if got, want := must[string](t)(FileImage(to)), must[string](t)(FileImage(archive(t, v110))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if sent := h.sent.Load(); sent != size {
		t.Errorf("%d bytes were sent for a package of %d", sent, size)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	return must[os.FileInfo](t)(os.Stat(path)).Size()
}

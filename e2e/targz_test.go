package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"testing"

	"github.com/theseusd/theseus/model"
)

// tarred is a package of b as a tar.gz, with a name that says zip; by "" it is
// not signed.
func tarred(t *testing.T, b Build, by string) (path string) {
	t.Helper()
	bin, with := binaries(t, b), cli(t)
	args := []string{"package", "build", "--version", b.Version, "--bin", platform() + "=" + bin, "--format", "tar.gz"}
	if by != "" {
		args = append(args, "--key", key(t, by))
	}
	return must[string](t)(shop.once("packages/tarred-"+b.Version+"-by-"+by+".zip", func(path string) error {
		_, err := output(t.Context(), "", nil, with, append(args, "-o", path)...)
		return err
	}))
}

func TestATarGzThatIsCalledZipIsStagedAndUpgradedTo(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	before := must[Snapshot](t)(c.Look(ctx))
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, tarred(t, v110, "release")))
	check(t, c.Run(ctx, m, quick))
	if end := followed(t, c); end.Status != string(model.Finished) || end.To != "1.1.0" {
		t.Errorf("the upgrade ended %+v", end)
	}
	runs(t, c, before, v110, samePID)
}

// badTars are uploads that begin as a tar.gz.
func badTars(t *testing.T) []upload {
	t.Helper()
	whole := must[[]byte](t)(os.ReadFile(tarred(t, v110, "")))
	send := func(name string, body []byte, status int) upload {
		return upload{name, bytes.NewReader(body), int64(len(body)), status}
	}
	return []upload{
		send("a truncated tar.gz", whole[:len(whole)/2], http.StatusBadRequest),
		send("a tar.gz with something after it", append(bytes.Clone(whole), "more"...), http.StatusBadRequest),
		send("a gzip file of something else", gzipped(t, []byte("hello")), http.StatusBadRequest),
		send("a hard link in a tar.gz", gzipped(t, tarOf(t, tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"})),
			http.StatusUnprocessableEntity),
		send("a tar.gz of too high a ratio", gzipped(t, tarOf(t, tar.Header{Name: "zeros", Size: 32 << 20})),
			http.StatusRequestEntityTooLarge),
	}
}

// tarOf is a tar file with one file, of zeros.
func tarOf(t *testing.T, h tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	check(t, w.WriteHeader(&h))
	must[int](t)(w.Write(make([]byte, h.Size)))
	check(t, w.Close())
	return out.Bytes()
}

func gzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must[int](t)(w.Write(body))
	check(t, w.Close())
	return out.Bytes()
}

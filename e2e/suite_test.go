package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long one test may take; none takes it when all is well.
const patience = 5 * time.Minute

// The two versions that most tests go between. 1.1.0 knows one command and one
// field of a record more than 1.0.0.
var (
	v100 = Build{Version: "1.0.0"}
	v110 = Build{Version: "1.1.0", Tags: "era"}
)

// quick is the body of a run whose probation is a second.
const quick = `{"probation":"1s"}`

// shop makes what the tests share; TestMain sets it.
var shop *Workshop

func TestMain(m *testing.M) {
	if os.Getenv("E2E_PRETEND") != "" {
		io.Copy(io.Discard, os.Stdin) // a process to look at, see member_test.go
		return
	}
	os.Exit(withShop(m.Run))
}

func withShop(run func() int) int {
	dir, err := os.MkdirTemp("", "theseus-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // other users run binaries from here
	}
	if err == nil {
		shop, err = NewWorkshop(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// within is a context for one test.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("the test took longer than %s", patience))
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func binaries(t *testing.T, b Build) (dir string) {
	t.Helper()
	return must[string](t)(shop.Binaries(t.Context(), b))
}

func cli(t *testing.T) string { return filepath.Join(binaries(t, v100), "theseus") }

func key(t *testing.T, name string) (path string) {
	t.Helper()
	return must[string](t)(shop.Key(t.Context(), cli(t), name))
}

// archive is a package of b, signed by the key that newCluster's members trust.
func archive(t *testing.T, b Build) (path string) {
	t.Helper()
	return must[string](t)(shop.Package(t.Context(), cli(t), b.Version, binaries(t, b), key(t, "release")))
}

// unsigned is a package of the binaries of b that calls itself version.
func unsigned(t *testing.T, version string, b Build) (path string) {
	t.Helper()
	return must[string](t)(shop.Package(t.Context(), cli(t), version, binaries(t, b), ""))
}

// newCluster starts three members of 1.0.0 that trust the release key, changed
// by change. What they logged is shown when the test fails.
func newCluster(t *testing.T, change func(*Plan)) *Cluster {
	t.Helper()
	p := Plan{Bin: binaries(t, v100), TrustedKey: key(t, "release") + ".pub"}
	dir := must[string](t)(os.MkdirTemp("", "theseus-cluster-"))
	check(t, os.Chmod(dir, 0o755))
	p.Dir = dir
	if change != nil {
		change(&p)
	}
	c, err := Start(within(t), p)
	t.Cleanup(func() { end(t, c, dir) })
	check(t, err)
	return c
}

func end(t *testing.T, c *Cluster, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if t.Failed() {
		for _, m := range c.Members {
			t.Logf("the end of the log of %s:\n%s", m.Name, m.LogTail(40))
		}
	}
	if err := c.Close(ctx); err != nil {
		t.Errorf("stop the cluster: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// upgraded stages b through a follower, runs it and follows it to its end.
func upgraded(t *testing.T, c *Cluster, b Build, options string) Status {
	t.Helper()
	ctx := within(t)
	m := followers(t, c)[0]
	check(t, c.Staged(ctx, m, archive(t, b)))
	check(t, c.Run(ctx, m, options))
	return followed(t, c)
}

func followers(t *testing.T, c *Cluster) []*Member {
	t.Helper()
	return must[[]*Member](t)(c.Followers(within(t)))
}

func followed(t *testing.T, c *Cluster) Status {
	t.Helper()
	s, err := c.Follow(within(t), func(line string) { t.Log(line) })
	check(t, err)
	return s
}

// refused checks that a is a refusal with status, in the shape that clients
// know, and that its messages say all of words.
func refused(t *testing.T, a Answer, status int, words ...string) {
	t.Helper()
	err := problem(a)
	if a.Status != status {
		t.Errorf("answer %d: %v; want %d", a.Status, err, status)
	}
	if got := a.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("content type %q", got)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v\nsays nothing of %q", err, w)
		}
	}
}

func answered(t *testing.T, a Answer, err error, status int) {
	t.Helper()
	check(t, err)
	if a.Status != status {
		t.Fatalf("want %d: %v", status, unexpected(a))
	}
}

// still is what must not change when something is refused: what the API shows
// and the files of every member, the binaries with their content.
func still(t *testing.T, c *Cluster) (all []string) {
	t.Helper()
	ctx := within(t)
	for _, m := range c.Members {
		if _, runs := m.Daemon(); runs {
			all = append(all, m.Name+" "+must[string](t)(c.State(ctx, m)))
			a := must[Answer](t)(c.Do(ctx, m, Request{Method: "GET", Path: statusPath}))
			all = append(all, fmt.Sprintf("%s %d %s", m.Name, a.Status, a.Body))
		}
		all = append(all, files(t, m)...)
	}
	return all
}

// files are those of m, the binaries with their content.
//
// A member that lags when the leader cuts its log gets a snapshot, and with it
// another generation of the same records: its name is left out.
func files(t *testing.T, m *Member) (all []string) {
	t.Helper()
	generation := regexp.MustCompile(`/state/g[^/]+/`)
	check(t, filepath.WalkDir(m.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name := generation.ReplaceAllString(path, "/state/g/")
		if strings.HasPrefix(path, m.Bin()+"/") {
			image, err := FileImage(path)
			if err != nil {
				return err
			}
			name += " " + image
		}
		all = append(all, name)
		return nil
	}))
	slices.Sort(all)
	return all
}

// archives are the archive files on the disk of m.
func archives(t *testing.T, m *Member) []string {
	t.Helper()
	return must[[]string](t)(filepath.Glob(filepath.Join(m.Data(), "state", "*", "archives", "*")))
}

func get(path string) Request { return Request{Method: http.MethodGet, Path: path} }

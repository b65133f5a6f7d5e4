package staging

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
)

// bins is a directory for each platform with a theseusd, and a theseus for the first.
func bins(t testing.TB, platforms ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i, platform := range platforms {
		all[platform] = t.TempDir()
		write(t, all[platform]+"/theseusd", "daemon for "+platform)
		write(t, all[platform]+"/notes", "not to be packed")
		if i == 0 {
			write(t, all[platform]+"/theseus", "command line for "+platform)
		}
	}
	return all
}

func write(t testing.TB, path, body string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
}

func build(t testing.TB, r Recipe) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Build(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsBuiltVerifies(t *testing.T) {
	key, trust := newKey(t)
	r := Recipe{Version: "v1.1.0", Bins: bins(t, "linux/amd64", "linux/arm64"), Key: &key}
	want := Facts{
		Version: "1.1.0",
		Images:  map[string]string{"linux/amd64": imageOf("daemon for linux/amd64"), "linux/arm64": imageOf("daemon for linux/arm64")},
		CLIs:    map[string]string{"linux/amd64": imageOf("command line for linux/amd64")},
		Signer:  key.ID(), Trusted: true, Comment: "theseus 1.1.0",
	}
	for _, r.Format = range formats {
		got, err := verify(t, build(t, r), DefaultLimits(), trust)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", r.Format, err, diff)
		}
	}
	_, err := verify(t, build(t, Recipe{Version: "1.1.0", Bins: r.Bins}), DefaultLimits(), trust)
	checkProblem(t, err, model.Refused, "not signed")
}

func TestEqualInputMakesEqualBytes(t *testing.T) {
	key, _ := newKey(t)
	platforms := []string{"linux/amd64", "linux/arm64", "darwin/arm64", "freebsd/amd64"}
	for _, f := range formats {
		first := build(t, Recipe{Version: "1.1.0", Bins: bins(t, platforms...), Key: &key, Format: f})
		for range 5 {
			if !bytes.Equal(first, build(t, Recipe{Version: "1.1.0", Bins: bins(t, platforms...), Key: &key, Format: f})) {
				t.Fatalf("two builds of a %s differ", f)
			}
		}
	}
}

func TestTheSumsAreWhatSha256sumReads(t *testing.T) {
	archive := build(t, Recipe{Version: "1.1.0", Bins: bins(t, "linux/amd64", "linux/arm64")})
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sha256sum", "--strict", "--check", sumsName)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), ": OK\n") != len(z.File)-1 {
		t.Errorf("%v\n%s", err, out)
	}
	if info, err := os.Stat(dir + "/bin/linux/amd64/theseusd"); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("the daemon is not executable when unpacked: %v, %v", info.Mode(), err)
	}
}

func TestARecipeThatCannotBeBuiltIsRefused(t *testing.T) {
	two := bins(t, "linux/amd64", "linux/arm64")
	empty := bins(t, "linux/amd64")
	write(t, empty["linux/amd64"]+"/theseusd", "")
	rows := []struct {
		what   string
		recipe Recipe
		names  []string
	}{
		{"no version", Recipe{Bins: two}, []string{`"version"`, "missing"}},
		{"no semantic version", Recipe{Version: "1.1", Bins: two}, []string{`"version"`, `"1.1"`}},
		{"no platform", Recipe{Version: "1.1.0"}, []string{`"platforms"`}},
		{"a platform of another form", Recipe{Version: "1.1.0", Bins: map[string]string{"amd64": "x"}}, []string{`"platforms"`, `"amd64"`}},
		{"an empty daemon", Recipe{Version: "1.1.0", Bins: empty}, []string{"theseusd", "not a file with a program"}},
		{"another version in the extra manifest", Recipe{Version: "1.1.0", Bins: two, Extra: []byte("version: 1.2.0\n")}, []string{`"version"`, `"1.2.0"`, `"1.1.0"`}},
		{"other platforms in the extra manifest", Recipe{Version: "1.1.0", Bins: two, Extra: []byte("platforms: [linux/s390x]\n")}, []string{`"platforms"`, "linux/s390x"}},
		{"a field that is not known", Recipe{Version: "1.1.0", Bins: two, Extra: []byte("needs: {}\n")}, []string{`"needs"`, "line 1"}},
		{"a rule that its version cannot keep", Recipe{Version: "1.1.0", Bins: two, Extra: []byte("reachable: {from: 1.1.0}\n")}, []string{`"reachable.from"`, "1.1.0"}},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			checkProblem(t, Build(io.Discard, r.recipe), model.Refused, r.names...)
		})
	}
	missing := Recipe{Version: "1.1.0", Bins: map[string]string{"linux/amd64": t.TempDir()}}
	if err := Build(io.Discard, missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "theseusd") {
		t.Errorf("a directory without a daemon: %v", err)
	}
}

func TestTheRulesStandInTheExtraManifest(t *testing.T) {
	extra := []byte("reachable: {from: 1.0.5, skips: [0.9]}\nrequires: {memory: 1GiB}\n")
	archive := build(t, Recipe{Version: "1.1.0", Bins: bins(t, "linux/amd64"), Extra: extra})
	want := &model.Rules{Lowest: "1.0.5", Skips: []string{"0.9"}, Memory: 1 << 30}
	facts, err := verify(t, archive, DefaultLimits(), Trust{AllowUnsigned: true})
	if diff := cmp.Diff(want, facts.Rules); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestTheVersionMayStandInTheExtraManifest(t *testing.T) {
	extra := []byte("name: theseus\nversion: v2.0.0-rc.1+7\nplatforms: [linux/arm64, linux/amd64]\n")
	archive := build(t, Recipe{Bins: bins(t, "linux/amd64", "linux/arm64"), Extra: extra})
	if f, err := verify(t, archive, DefaultLimits(), Trust{AllowUnsigned: true}); err != nil || f.Version != "2.0.0-rc.1+7" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestAFileIsBuiltWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.zip")
	write(t, path, "what was there")
	err := BuildFile(path, Recipe{Version: "1.1.0", Bins: map[string]string{"linux/amd64": t.TempDir()}})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	checkProblem(t, BuildFile(path, Recipe{}), model.Refused, "version")
	if body, _ := os.ReadFile(path); string(body) != "what was there" {
		t.Errorf("a build that failed left %q", body)
	}
	if err := BuildFile(path, Recipe{Version: "1.1.0", Bins: bins(t, "linux/amd64")}); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyFile(t.Context(), path, DefaultLimits(), Trust{AllowUnsigned: true}); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSigningReplacesTheSignatureAndNothingElse(t *testing.T) {
	first, trustFirst := newKey(t)
	second, trustSecond := newKey(t)
	path := filepath.Join(t.TempDir(), "p.zip")
	if err := os.WriteFile(path, good(nil).bytes(t), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, by := range []struct {
		key   Key
		trust Trust
	}{{first, trustFirst}, {second, trustSecond}, {first, trustFirst}} {
		if err := SignFile(t.Context(), path, DefaultLimits(), by.key); err != nil {
			t.Fatal(err)
		}
		f, err := VerifyFile(t.Context(), path, DefaultLimits(), by.trust)
		if err != nil || f.Signer != by.key.ID() || f.Comment != "theseus 1.1.0" {
			t.Errorf("signing %d: %+v, %v", i, f, err)
		}
	}
	_, err := VerifyFile(t.Context(), path, DefaultLimits(), trustSecond)
	checkProblem(t, err, model.Refused, "not trusted")
}

func TestADamagedPackageIsNotSigned(t *testing.T) {
	key, _ := newKey(t)
	d := good(nil)
	d.at("docs/CHANGES").body = "it is worse now\n"
	path := filepath.Join(t.TempDir(), "p.zip")
	archive := d.bytes(t)
	if err := os.WriteFile(path, archive, 0o644); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, SignFile(t.Context(), path, DefaultLimits(), key), model.Refused, "docs/CHANGES")
	if after, _ := os.ReadFile(path); !bytes.Equal(after, archive) {
		t.Error("the file was changed")
	}
}

// What a member reads at staging: the packages differ in how the same program,
// this test's own, is packed.
func BenchmarkVerify(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	for _, how := range []struct {
		name   string
		format Format
		method uint16
	}{{"zip-stored", Zip, zip.Store}, {"zip-deflated", Zip, zip.Deflate}, {"tar.gz", TarGz, 0}} {
		d := good(nil)
		d.at("bin/linux/amd64/theseusd").method = how.method
		d.replace("bin/linux/amd64/theseusd", string(program))
		archive := d.in(b, how.format)
		b.Run(how.name, func(b *testing.B) {
			b.SetBytes(int64(len(program)))
			for b.Loop() {
				if _, err := verify(b, archive, DefaultLimits(), Trust{AllowUnsigned: true}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(archive)), "archive-bytes")
		})
	}
}

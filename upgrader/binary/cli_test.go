package binary

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// imageOfText is the image of a file that holds text.
func imageOfText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return image(t, path)
}

func opens(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// replaceCLI makes c hold text on behalf of upgrade u1.
func replaceCLI(t *testing.T, c *CLI, text string) {
	t.Helper()
	if err := c.Replace(context.Background(), imageOfText(t, text), "u1", opens(text)); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil || string(raw) != want {
		t.Errorf("%s holds %q, want %q: %v", path, raw, want, err)
	}
}

func TestTheCLIIsReplacedWithItsLooksAndPutBack(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.write(t, "theseus", "old")
	chmod(t, path, 0o750)
	setcap(t, bothCaps, path)
	before := must(looksOf(path))(t)
	old := string(variantBytes("old"))
	c := NewCLI(path)

	for range 2 {
		replaceCLI(t, c, "new")
	}
	holds(t, path, "new")
	holds(t, c.at.Previous(), old)
	if got := must(looksOf(path))(t); got != before {
		t.Errorf("it has %v, it had %v", got, before)
	}

	if err := c.PutBack("u2"); err != nil {
		t.Error(err)
	}
	holds(t, path, "new") // another upgrade's
	for range 2 {
		if err := c.PutBack("u1"); err != nil {
			t.Error(err)
		}
	}
	holds(t, path, old)
	if got := must(looksOf(path))(t); got != before {
		t.Errorf("put back, it has %v, it had %v", got, before)
	}
	if diff := cmp.Diff([]string{"theseus"}, listing(t, p.bin)); diff != "" {
		t.Error(diff)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestACLIThatWasNotThereIsMadeAndTakenAwayAgain(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	c := NewCLI(filepath.Join(p.bin, "theseus"))
	replaceCLI(t, c, "new")
	if got := must(looksOf(c.at.Path))(t); got.mode != 0o755 {
		t.Errorf("it has %v", got)
	}
	if err := c.PutBack("u1"); err != nil {
		t.Error(err)
	}
	if left := listing(t, p.bin); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

func TestACLIThatIsRightIsNotReadAgain(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	c := NewCLI(p.write(t, "theseus", "old"))
	open := func() (io.ReadCloser, error) { return nil, errors.New("it was opened") }
	if err := c.Replace(context.Background(), image(t, c.at.Path), "u1", open); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"theseus"}, listing(t, p.bin)); diff != "" {
		t.Error(diff)
	}
}

// One that somebody put there after us is not ours to take away.
func TestACLIThatSomebodyElseReplacedIsNotPutBack(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	c := NewCLI(p.write(t, "theseus", "old"))
	replaceCLI(t, c, "new")
	p.write(t, "theseus", "other")
	if err := c.PutBack("u1"); err != nil {
		t.Error(err)
	}
	holds(t, c.at.Path, string(variantBytes("other")))
}

func TestACLIWithWrongBytesLeavesTheOldOneAndIsAnIssue(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	o := &Own{Path: p.put(t, "theseusd", "good 1", ""), CLI: NewCLI(p.write(t, "theseus", "old"))}
	o.Image = image(t, o.Path)
	before := listing(t, p.bin)
	err := o.CLI.Replace(context.Background(), imageOfText(t, "new"), "u1", opens("spoilt"))
	if err == nil {
		t.Fatal("it was replaced")
	}
	if !o.CLI.Settle(err) || o.CLI.Settle(err) || o.CLI.Due() {
		t.Error("the same trouble is news twice, or tried again at once")
	}
	if issues := o.Issues(); len(issues) != 1 || !strings.Contains(issues[0], o.CLI.at.Path) {
		t.Errorf("it says %q", issues)
	}
	holds(t, o.CLI.at.Path, string(variantBytes("old")))
	if diff := cmp.Diff(before, listing(t, p.bin)); diff != "" {
		t.Error(diff)
	}
	o.CLI.Settle(nil)
	if issues := o.Issues(); issues != nil || !o.CLI.Due() {
		t.Errorf("it says %q still", issues)
	}
}

// Whatever a kill left, the next life goes on, and nothing lies around after it.
func TestWhatAKillLeftBesideTheCLIIsPutRight(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	c := NewCLI(p.write(t, "theseus", "old"))
	old, to := image(t, c.at.Path), imageOfText(t, "new")
	for _, what := range []string{"part-1", "part-previous"} {
		if err := os.WriteFile(c.at.beside(what), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.at.write("replaced", replacement{recordVersion, "u1", old, to}); err != nil { // killed before the rename
		t.Fatal(err)
	}
	replaceCLI(t, c, "new")
	holds(t, c.at.Path, "new")
	holds(t, c.at.Previous(), string(variantBytes("old")))
	if err := c.Forget(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"theseus"}, listing(t, p.bin)); diff != "" {
		t.Error(diff)
	}
}

func TestACLIThatCannotBeReplacedIsAFinding(t *testing.T) {
	for name, one := range map[string]struct {
		say   string
		spoil func(t *testing.T, p place, daemon, cli string)
	}{
		"a symlink": {"name the file itself", func(t *testing.T, p place, _, cli string) {
			if err := errors.Join(os.Rename(cli, cli+"-1"), os.Symlink(cli+"-1", cli)); err != nil {
				t.Fatal(err)
			}
		}},
		"the daemon": {"the daemon's own", func(t *testing.T, _ place, daemon, cli string) {
			if err := errors.Join(os.Remove(cli), os.Link(daemon, cli)); err != nil {
				t.Fatal(err)
			}
		}},
		"a directory": {"not a regular file", func(t *testing.T, _ place, _, cli string) {
			if err := errors.Join(os.Remove(cli), os.Mkdir(cli, 0o755)); err != nil {
				t.Fatal(err)
			}
		}},
		"a mount point":  {"cannot be renamed over", func(t *testing.T, _ place, _, cli string) { bind(t, cli, cli) }},
		"not writable":   {"operation not permitted", func(t *testing.T, p place, _, cli string) { immutable(t, p, cli) }},
		"no directory":   {"no such file", func(t *testing.T, p place, _, _ string) { os.RemoveAll(filepath.Join(p.data, "cli")) }},
		"nothing spoilt": {"", func(*testing.T, place, string, string) {}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, os.Geteuid())
			daemon := p.write(t, "theseusd", "good 1")
			cli := filepath.Join(p.data, "cli", "theseus")
			if err := errors.Join(os.Mkdir(filepath.Dir(cli), 0o755), os.WriteFile(cli, []byte("cli"), 0o755)); err != nil {
				t.Fatal(err)
			}
			one.spoil(t, p, daemon, cli)
			found := NewCLI(cli).replaceable(context.Background(), daemon)
			if one.say == "" && len(found) != 0 {
				t.Errorf("found %v", found)
			}
			if one.say != "" && (len(found) != 1 || found[0].Name != "CLI replaceable" || found[0].Remedy == "" || !strings.Contains(found[0].What, one.say)) {
				t.Errorf("found %v, which does not say %q", found, one.say)
			}
		})
	}
}

func TestAGlanceHashesAgainWhatHasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var g glance
	for _, text := range []string{"one", "two", "another"} {
		tmp := path + ".tmp"
		if err := errors.Join(os.WriteFile(tmp, bytes.Repeat([]byte(text), 2), 0o600), os.Rename(tmp, path)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := g.image(path); err != nil || got != image(t, path) {
				t.Errorf("%s: %s, %v", text, got, err)
			}
		}
	}
}

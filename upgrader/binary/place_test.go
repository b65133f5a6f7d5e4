package binary

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bind mounts from at to until the test ends, with these mount options.
func bind(t *testing.T, from, to string, options ...string) {
	t.Helper()
	for _, o := range append([]string{"bind"}, options...) {
		if out, err := exec.Command("mount", "-o", o, from, to).CombinedOutput(); err != nil {
			t.Fatalf("this test needs root and mount: %v: %s", err, out)
		}
		if o == "bind" {
			t.Cleanup(func() { exec.Command("umount", to).Run() })
		}
	}
}

// asked is what a daemon that serves finds of its own executable.
func (m *member) asked() (found []Finding) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(m.must("prerequisites")), &found); err != nil {
		m.t.Fatal(err)
	}
	return found
}

func TestAReadOnlyFileSystemIsSaidToBeOne(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "good 1", "")
	bind(t, p.bin, p.bin, "remount,bind,ro")
	found := p.prerequisites(t, path)
	if len(found) != 2 || found[0].Name != "binary writable" || found[1].Name != "directory writable" {
		t.Fatalf("found %v", found)
	}
	for _, f := range found {
		if !strings.Contains(f.What, "read-only") || !strings.Contains(f.Remedy, "mount the file system writable") {
			t.Errorf("it says %v", f)
		}
	}
}

func TestAnExecutableThatIsGoneIsAFindingAndAnIssue(t *testing.T) {
	m := newMember(t, os.Geteuid(), "")
	if found, issues := m.asked(), m.must("issues"); len(found) != 0 || issues != "null" {
		t.Fatalf("with nothing wrong it found %v and says %s", found, issues)
	}
	if err := os.Remove(m.path); err != nil {
		t.Fatal(err)
	}
	if found := m.asked(); len(found) != 1 || found[0].Name != "own binary found" || found[0].Remedy == "" {
		t.Errorf("found %v", found)
	}
	if issues := m.must("issues"); !strings.Contains(issues, m.path+" is gone") {
		t.Errorf("it says %s", issues)
	}
}

// A package manager does not know of capabilities.
func TestAnExecutableReplacedByHandIsAnIssueAndItsLostCapabilitiesAFinding(t *testing.T) {
	m := newMember(t, os.Geteuid(), bothCaps)
	replace := func(variant, caps string) string {
		t.Helper()
		other := m.put(t, "other", variant, caps)
		if err := os.Rename(other, m.path); err != nil {
			t.Fatal(err)
		}
		return image(t, m.path)
	}
	says := func(want ...string) {
		t.Helper()
		issues := m.must("issues")
		for _, w := range want {
			if !strings.Contains(issues, w) {
				t.Errorf("it says %s, and not %q", issues, w)
			}
		}
	}
	says("null")

	other := replace("good 2", bothCaps)
	says("was replaced while it runs", other, m.own.Image)
	if found := m.asked(); len(found) != 0 {
		t.Errorf("with the same capabilities it found %v", found)
	}

	replace("good 3", "")
	found := m.asked()
	if len(found) != 1 || found[0].Name != "binary as it runs" || !strings.Contains(found[0].What, `capabilities ""`) {
		t.Errorf("without capabilities it found %v", found)
	}

	replace("good 1", bothCaps)
	says("null")
}

func TestASymlinkToTheExecutableIsNoObstacle(t *testing.T) {
	p := newPlace(t, nobody)
	p.put(t, "theseusd-1.0.0", "good 1", bothCaps)
	link := filepath.Join(p.bin, "theseusd")
	if err := os.Symlink("theseusd-1.0.0", link); err != nil {
		t.Fatal(err)
	}
	if found := p.prerequisites(t, link); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

func TestTheFirstProcessOfAContainerIsRefused(t *testing.T) {
	found := alone("/theseusd", 1)
	if len(found) != 1 || !strings.Contains(found[0].Remedy, "one member at a time") {
		t.Errorf("found %v", found)
	}
	if found := alone("/theseusd", 2); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

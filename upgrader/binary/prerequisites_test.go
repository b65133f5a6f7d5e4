package binary

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrerequisitesThatHoldLeaveNothingBehind(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "good 1", bothCaps)
	if found := p.prerequisites(t, path); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	if diff := cmp.Diff([]string{".theseusd.owner", "theseusd"}, listing(t, p.bin)); diff != "" {
		t.Error(diff)
	}
}

func TestEachPrerequisiteIsAFindingOfItsOwn(t *testing.T) {
	for _, one := range []struct {
		name, say string
		spoil     func(t *testing.T, p place, path string)
	}{
		{"binary writable", "permission denied", func(t *testing.T, p place, path string) { chmod(t, path, 0o555) }},
		{"binary writable", "operation not permitted", immutable},
		{"directory writable", "permission denied", func(t *testing.T, p place, _ string) { chmod(t, p.bin, 0o555) }},
		{"directory writable", "sticky", func(t *testing.T, p place, path string) {
			for _, root := range []string{p.bin, path} {
				if err := os.Chown(root, 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			chmod(t, path, 0o777)
			chmod(t, p.bin, 0o777|os.ModeSticky)
		}},
		{"binary no mount point", "cannot be renamed over", func(t *testing.T, _ place, path string) { bind(t, path, path) }},
		{"owner and mode restorable", "operation not permitted", func(t *testing.T, p place, path string) {
			if err := os.Chown(path, 0, 0); err != nil {
				t.Fatal(err)
			}
			chmod(t, path, 0o777)
		}},
		{"binary its own", "other", func(t *testing.T, p place, path string) {
			if err := (&Own{Path: path}).Claim(t.TempDir()); err != nil {
				t.Fatal(err)
			}
			chmod(t, (&Own{Path: path}).beside("owner"), 0o644)
		}},
	} {
		t.Run(one.name+" "+one.say, func(t *testing.T) {
			p := newPlace(t, nobody)
			path := p.put(t, "theseusd", "good 1", "")
			one.spoil(t, p, path)
			before := listing(t, p.bin)
			found := p.prerequisites(t, path)
			if len(found) != 1 || found[0].Name != one.name || found[0].Remedy == "" || found[0].Path == "" {
				t.Fatalf("found %v", found)
			}
			if one.say != "other" && !strings.Contains(found[0].What, one.say) {
				t.Errorf("it says %q, not %q", found[0].What, one.say)
			}
			before = append(before, ".theseusd.owner")
			if left := listing(t, p.bin); len(left) > len(before) {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func immutable(t *testing.T, _ place, path string) {
	t.Helper()
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Fatalf("this test needs root and chattr: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("chattr", "-i", path).Run() })
}

func TestRoomIsAFindingThatSaysHowMuch(t *testing.T) {
	if f := Room(t.TempDir(), 1); f != nil {
		t.Errorf("no room for a byte: %v", f)
	}
	f := Room(t.TempDir(), 1<<60)
	if f == nil || !strings.Contains(f.What, "1099511627776 MiB are needed") {
		t.Errorf("found %v", f)
	}
}

func TestAnExecutableBelongsToOneDataDirectory(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	o := &Own{Path: p.put(t, "theseusd", "", "")}
	gone := t.TempDir()
	for range 2 {
		if err := o.Claim(gone); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Claim(p.data); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("shared: %v", err)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if err := o.Claim(p.data); err != nil {
		t.Errorf("the other member is gone: %v", err)
	}
}

// locate asks a process where it runs from after meanwhile happened.
func (p place) locate(t *testing.T, path string, meanwhile func()) (where, running, gone string) {
	t.Helper()
	cmd := p.command(path, "locate")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	io.WriteString(in, "go\n")
	var got [3]string
	if err := json.NewDecoder(out).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return got[0], got[1], got[2]
}

func TestTheOwnExecutableIsFoundWhateverBecameOfItsName(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "good 1", "cap_net_bind_service=ep")
	want := image(t, path)
	link := filepath.Join(p.bin, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	where, running, gone := p.locate(t, link, func() {})
	if where != path || running != want || gone != "" {
		t.Errorf("through a link: %s, %s, %s", where, running, gone)
	}
	where, running, gone = p.locate(t, path, func() {
		if err := os.Rename(p.put(t, "other", "good 2", ""), path); err != nil {
			t.Fatal(err)
		}
	})
	if where != path || running != want || gone != "" {
		t.Errorf("replaced: %s, %s, %s", where, running, gone)
	}
	where, _, gone = p.locate(t, path, func() { os.Remove(path) })
	if where != path || !strings.Contains(gone, "put the executable back") {
		t.Errorf("removed: %s, %q", where, gone)
	}
}

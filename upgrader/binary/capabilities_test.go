package binary

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCapabilitiesAreReadAndPrintedAsGetcapDoes(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	for _, caps := range []string{
		"cap_net_bind_service=ep", "cap_net_bind_service=p", "cap_net_bind_service=ei",
		"cap_net_bind_service,cap_setfcap=ep", "cap_net_bind_service,cap_checkpoint_restore=eip",
	} {
		path := p.put(t, "capped", "", caps)
		c, err := ReadCapabilities(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := getcap(t, path); c.String() != got {
			t.Errorf("%s: printed %q, getcap prints %q", caps, c, got)
		}
		copied := p.put(t, "copied", "", "")
		if err := c.give(context.Background(), copied); err != nil {
			t.Fatal(err)
		}
		if got := getcap(t, copied); got != c.String() {
			t.Errorf("%s: copied as %q", caps, got)
		}
		setcap(t, c.String(), copied) // setcap reads what String prints
	}
}

func TestMixedCapabilitiesSurviveSetcap(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	path := p.put(t, "capped", "", "")
	want := Capabilities{Permitted: 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SETFCAP,
		Inheritable: 1<<unix.CAP_SETFCAP | 1<<unix.CAP_NET_RAW, Effective: true}
	setcap(t, want.String(), path)
	if got, err := ReadCapabilities(path); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// An empty attribute is not the same as none: getcap shows it.
func TestGivingNoCapabilitiesLeavesNoAttribute(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	path := p.put(t, "plain", "", "")
	if err := (Capabilities{}).give(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Getxattr(path, "security.capability", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("there is an attribute: %v", err)
	}
}

func TestCapabilitiesAreNotReadThroughASymlink(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	link := filepath.Join(p.bin, "link")
	if err := os.Symlink(p.put(t, "capped", "", "cap_net_bind_service=ep"), link); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadCapabilities(link); err == nil {
		t.Errorf("read %q", c)
	}
	if err := (Capabilities{Permitted: 1 << unix.CAP_NET_RAW}).set(link); err == nil {
		t.Error("set")
	}
}

// gocapability cannot read a namespaced attribute; that is not "none".
func TestCapabilitiesThatCannotBeReadAreAnError(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	path := p.put(t, "capped", "", "")
	const version3, effective, owner = 0x03000000, 1, 1000
	raw := binary.LittleEndian.AppendUint32(nil, version3|effective)
	for _, n := range []uint32{1 << unix.CAP_NET_BIND_SERVICE, 0, 0, 0, owner} {
		raw = binary.LittleEndian.AppendUint32(raw, n)
	}
	if err := unix.Setxattr(path, "security.capability", raw, 0); err != nil {
		t.Fatalf("this test needs root: %v", err)
	}
	if c, err := ReadCapabilities(path); err == nil {
		t.Errorf("read %q", c)
	}
}

func TestAnOrdinaryUserKeepsCapabilitiesOverASwap(t *testing.T) {
	m := newMember(t, nobody, bothCaps)
	pid, _, before := m.who()
	next := m.extract("good 2")
	m.arm(1, next)
	m.swap("swap")
	got, after := m.becomes(next)
	if got != pid || after != before {
		t.Errorf("pid %d, CapEff %s; before %d, %s", got, after, pid, before)
	}
	if caps := getcap(t, m.path); caps != bothCaps {
		t.Errorf("capabilities are %q, want %q", caps, bothCaps)
	}
}

// sudo is a program that has what setcap takes, and gives it to setcap.
func TestAnOrdinaryUserWithoutSetfcapRestoresThemBySudo(t *testing.T) {
	const caps = "cap_net_bind_service=ep"
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "good 1", caps)
	from := p.put(t, "from", "good 2", "")
	p.put(t, "sudo", "", "cap_setfcap=ep")
	cmd := p.command(path, "extract", from)
	cmd.Env = []string{"PATH=" + p.bin + ":/usr/sbin:/sbin:/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	next := (&Own{Path: path}).Next(image(t, from))
	if got := getcap(t, next); got != caps {
		t.Errorf("capabilities are %q, want %q", got, caps)
	}
}

func TestWithoutAWayToRestoreCapabilitiesAPrerequisiteSaysWhatToDo(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "good 1", "cap_net_bind_service=ep")
	found := p.prerequisites(t, path)
	if len(found) != 1 || found[0].Name != "capabilities restorable" {
		t.Fatalf("found %v", found)
	}
	for _, want := range []string{"setcap cap_net_bind_service,cap_setfcap=ep " + path, "sudo -n setcap", "by hand"} {
		if !strings.Contains(found[0].Remedy, want) {
			t.Errorf("the remedy does not say %q: %s", want, found[0].Remedy)
		}
	}
	if left := listing(t, p.bin); len(left) != 2 { // the executable and whose it is
		t.Errorf("it left %v", left)
	}
}

func (p place) prerequisites(t *testing.T, path string) (found []Finding) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.output(t, path, "prerequisites", p.data)), &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// With file capabilities Go hides what a panic has to say.
func TestACappedProgramPrintsItsPanic(t *testing.T) {
	p := newPlace(t, nobody)
	path := p.put(t, "theseusd", "", "cap_net_bind_service=ep")
	for _, one := range []struct {
		arg   string
		shown bool
	}{{"panic", true}, {"panic-quietly", false}} {
		out, err := p.command(path, one.arg).CombinedOutput()
		if err == nil || strings.Contains(string(out), "goroutine 1") != one.shown {
			t.Errorf("%s: %v: %s", one.arg, err, out)
		}
	}
}

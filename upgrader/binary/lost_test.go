package binary

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCapabilitiesThatTheKeptExecutableHasAreMissed(t *testing.T) {
	p := newPlace(t, os.Geteuid())
	own := &Own{Path: p.put(t, "theseusd", "", "")} // the image that runs is this test, which has none
	if lost, err := own.LostCapabilities(); err != nil || lost != "" {
		t.Errorf("nothing is kept: lost %q, %v", lost, err)
	}
	kept := p.put(t, ".theseusd.previous", "", "")
	if lost, err := own.LostCapabilities(); err != nil || lost != "" {
		t.Errorf("%s has none: lost %q, %v", kept, lost, err)
	}
	setcap(t, "cap_net_bind_service=ep", kept)
	if lost, err := own.LostCapabilities(); err != nil || lost != "cap_net_bind_service=ep" {
		t.Errorf("lost %q, %v", lost, err)
	}
}

func TestOnlyWhatIsGoneIsLost(t *testing.T) {
	const bind, chown = 1 << unix.CAP_NET_BIND_SERVICE, 1 << unix.CAP_CHOWN
	for name, one := range map[string]struct{ before, now, want Capabilities }{
		"the same":           {Capabilities{bind, 0, true}, Capabilities{bind, 0, true}, Capabilities{0, 0, true}},
		"one less":           {Capabilities{bind | chown, chown, true}, Capabilities{bind, 0, true}, Capabilities{chown, chown, true}},
		"one more":           {Capabilities{bind, 0, true}, Capabilities{bind | chown, 0, true}, Capabilities{0, 0, true}},
		"not raised at exec": {Capabilities{bind, 0, true}, Capabilities{bind, 0, false}, Capabilities{bind, 0, true}},
	} {
		if got := one.before.without(one.now); got != one.want {
			t.Errorf("%s: lost %+v, want %+v", name, got, one.want)
		}
	}
}

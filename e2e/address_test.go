package e2e

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
)

func TestAPortIsKeptForTheMemberThatListensOnIt(t *testing.T) {
	t.Parallel()
	kept := must[*os.File](t)(reserve("127.0.0.1"))
	addr := must[netip.AddrPort](t)(netip.ParseAddrPort(kept.Name()))
	l := must[net.Listener](t)(net.Listen("tcp", kept.Name()))
	if f, err := bind(addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else was given %s: %v, %v", addr, f, err)
	}
	check(t, l.Close())
	if f, err := bind(addr); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else was given %s: %v, %v", addr, f, err)
	}
	check(t, kept.Close())
	// A process that another test starts has copies of its sockets for a moment.
	check(t, Until(within(t), "the port to be free", func() (bool, error) {
		f, err := bind(addr)
		if err != nil {
			return false, err
		}
		return true, f.Close()
	}))
}

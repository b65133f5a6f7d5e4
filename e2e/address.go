package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"syscall"
)

// reserve keeps a free port on host for a member, whether that runs or not, until
// the file is closed. Its name is host:port. The port is taken from below the range
// that the kernel gives to outgoing connections (from 32768 by default).
//
// A socket is bound to it and does not listen. Who binds without SO_REUSEADDR, as
// reserve does, is refused then; a listener of Go's, which has it, is not (socket(7)).
func reserve(host string) (*os.File, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, err
	}
	for range 100 {
		f, err := bind(netip.AddrPortFrom(ip, uint16(20000+rand.IntN(12000))))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return f, err
		}
	}
	return nil, fmt.Errorf("find a free port on %s", host)
}

func bind(addr netip.AddrPort) (*os.File, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), addr.String())
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep %s: %w", addr, err), f.Close())
	}
	return f, nil
}

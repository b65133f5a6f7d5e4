package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// address is host with port, or with a free one if that is 0. Free ones are
// taken from below the range that the kernel gives to outgoing connections
// (from 32768 by default), so that a member finds its port again when it is
// started again under load.
func address(host string, port int) (string, error) {
	if port != 0 {
		return net.JoinHostPort(host, strconv.Itoa(port)), nil
	}
	for range 100 {
		addr := net.JoinHostPort(host, strconv.Itoa(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		return addr, l.Close()
	}
	return "", fmt.Errorf("find a free port on %s", host)
}

package cluster

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// stream is raft's view of the member port (a raft.StreamLayer).
type stream struct {
	*lane
	advertised string
	life       context.Context
	dial       func(ctx context.Context, address string) (net.Conn, error)
	admit      func(id string) error
}

// Addr is the address that the other members know this one by.
func (s *stream) Addr() net.Addr { return address(s.advertised) }

// Accept returns the next connection of a member that may speak raft.
func (s *stream) Accept() (net.Conn, error) {
	for {
		c, err := s.lane.Accept()
		if err != nil {
			return nil, err
		}
		if s.admit(c.(*peerConn).id) == nil {
			return c, nil
		}
		c.Close()
	}
}

// Dial connects to the member at an address.
func (s *stream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.life, timeout)
	defer cancel()
	return s.dial(ctx, string(to))
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// dialRaft connects to the member that the configuration has at an address.
func (n *Node) dialRaft(ctx context.Context, to string) (net.Conn, error) {
	want := ""
	for _, s := range n.servers() {
		if string(s.Address) == to {
			want = string(s.ID)
		}
	}
	return n.port.dial(ctx, to, protocolRaft, want)
}

// admit refuses a client that is not a member. A member that is still
// joining knows no members yet and takes the cluster's certificate for it.
func (n *Node) admit(id string) error {
	servers := n.servers()
	if _, ok := find(servers, id); len(servers) > 0 && !ok {
		return fmt.Errorf("%s is not a member", id)
	}
	return nil
}

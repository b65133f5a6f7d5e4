package main

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/theseusd/theseus/e2e"
)

// network is a bridge with a network namespace for each member of a cluster.
// The clients are at the bridge.
type network struct{ place int }

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (n network) bridge() string        { return fmt.Sprintf("br%d", n.place) }
func (n network) space(i int) string    { return fmt.Sprintf("p%dn%d", n.place, i+1) }
func (n network) cable(i int) string    { return "v" + n.space(i) }
func (n network) host(i int) string     { return fmt.Sprintf("10.99.%d.%d", n.place, i+1) }
func (n network) gate() string          { return fmt.Sprintf("10.99.%d.254/24", n.place) }
func (n network) inside(i int) []string { return []string{"nsenter", "--net=/run/netns/" + n.space(i)} }
func (n network) of(m *e2e.Member) int  { return int(m.Name[1] - '1') }
func (n network) others(i int) [2]string {
	return [2]string{n.host((i + 1) % size), n.host((i + 2) % size)}
}

// lay makes the network; drop removes all of it.
func (n network) lay() error {
	steps := [][]string{
		{"link", "add", n.bridge(), "type", "bridge"},
		{"addr", "add", n.gate(), "dev", n.bridge()},
		{"link", "set", n.bridge(), "up"},
	}
	for i := range size {
		s := n.space(i)
		steps = append(steps, [][]string{
			{"netns", "add", s},
			{"link", "add", n.cable(i), "type", "veth", "peer", "name", "eth0", "netns", s},
			{"link", "set", n.cable(i), "master", n.bridge(), "up"},
			{"-n", s, "addr", "add", n.host(i) + "/24", "dev", "eth0"},
			{"-n", s, "link", "set", "lo", "up"},
			{"-n", s, "link", "set", "eth0", "up"},
		}...)
	}
	for _, s := range steps {
		if err := ip(s...); err != nil {
			return err
		}
	}
	return nil
}

func (n network) drop() {
	for i := range size {
		ip("netns", "del", n.space(i)) // its end of the cable goes with it
		ip("link", "del", n.cable(i))
	}
	ip("link", "del", n.bridge())
}

// settle gives a member its own namespace and addresses.
func (n network) settle(m *e2e.Member) {
	i := n.of(m)
	m.API, m.Raft, m.Under = n.host(i)+":8092", n.host(i)+":8093", n.inside(i)
}

// cut is a way of cutting a member off.
type cut string

const (
	cutAll  cut = "from everybody"
	cutPeer cut = "from its peers"           // clients still reach it
	cutOut  cut = "so that no peer hears it" // it hears them
	cutIn   cut = "so that it hears no peer" // they hear it
)

func cuts() []cut { return []cut{cutAll, cutPeer, cutOut, cutIn} }

// sever cuts member i off; join undoes every cut of it.
func (n network) sever(i int, c cut) error {
	if c == cutAll {
		return ip("link", "set", n.cable(i), "down")
	}
	for k, peer := range n.others(i) {
		if c != cutIn {
			if err := ip("-n", n.space(i), "route", "replace", "blackhole", peer); err != nil {
				return err
			}
		}
		if c != cutOut {
			if err := ip("-n", n.space((i+1+k)%size), "route", "replace", "blackhole", n.host(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n network) join(i int) error {
	for k, peer := range n.others(i) {
		ip("-n", n.space(i), "route", "del", "blackhole", peer)
		ip("-n", n.space((i+1+k)%size), "route", "del", "blackhole", n.host(i))
	}
	return ip("link", "set", n.cable(i), "up")
}

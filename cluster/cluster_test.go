package cluster

import (
	"testing"
)

func TestAClusterOfOneLeadsAndWrites(t *testing.T) {
	h := newCluster(t, 1)
	h.leader().write("a")
}

func TestThreeMembersWriteThroughEachOther(t *testing.T) {
	h := newCluster(t, 3)
	for _, m := range h.members {
		m.write("by " + m.self.Name)
	}
	for _, m := range h.members {
		must(t, m.node.ReadIndex(h.ctx()))
		if got := len(m.profiles()); got != 3 {
			t.Errorf("%s has %d profiles, want 3", m.self.Name, got)
		}
	}
}

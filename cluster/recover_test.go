package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/store"
)

func (m *member) layPeers(text string) {
	m.t.Helper()
	must(m.t, os.WriteFile(filepath.Join(m.dir, peersFile), []byte(text), 0o600))
}

func TestTheLastMemberGoesOnAloneWithAPeersFile(t *testing.T) {
	h := newCluster(t, 3)
	h.members[0].write("before")
	h.sameRecords()
	for _, m := range h.members {
		m.kill()
	}
	last := h.members[2]
	last.layPeers(fmt.Sprintf(`[{"id":%q,"address":%q,"non_voter":false}]`, last.self.ID, last.self.Raft))
	last.start(Config{})

	h.leader().write("after")
	if diff := cmp.Diff([]string{"after", "before"}, last.profiles()); diff != "" {
		t.Error(diff)
	}
	eventually(t, "the others are forgotten", func() error {
		return last.store.View(func(v *store.View) error {
			members, err := v.Members()
			if err == nil && len(members) != 1 {
				err = fmt.Errorf("%d members on record", len(members))
			}
			return err
		})
	})
	if left, err := filepath.Glob(filepath.Join(last.dir, peersFile+"*")); err != nil || len(left) != 1 || !strings.Contains(left[0], ".applied-") {
		t.Errorf("the file is now %v, %v", left, err)
	}
	last.kill()
	last.start(Config{})
	h.leader().write("after a restart")
}

// peersOf is a peers file that names members, in order.
func peersOf(members ...*member) string {
	var all []string
	for _, m := range members {
		all = append(all, fmt.Sprintf(`{"id":%q,"address":%q}`, m.self.ID, m.self.Raft))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// offline does something with the store of a member that is down.
func (m *member) offline(do func(*Node)) {
	m.t.Helper()
	s, err := store.Open(m.dir, store.Options{Log: m.log})
	must(m.t, err)
	do(&Node{Config: Config{Store: s, Dir: m.dir, Self: m.self}, log: m.log})
	must(m.t, s.Close())
}

// Two are left. The one that was down for a while lacks what the leader
// and the other have acknowledged, and whatever it went through since, the other
// leads and nothing is lost.
func TestOfTheMembersThatAreLeftTheOneWithTheMostLeads(t *testing.T) {
	for name, before := range map[string]func(behind, ahead *member, behindNode *Node){
		"nothing": func(*member, *member, *Node) {},
		"elections in vain": func(_, _ *member, n *Node) {
			must(t, n.Store.Log().SetUint64([]byte("CurrentTerm"), 1000))
		},
		"a kill before the file was renamed": func(behind, ahead *member, n *Node) {
			must(t, n.replaceConfiguration([]byte(peersOf(behind, ahead))))
		},
		"two kills, and another file": func(behind, ahead *member, n *Node) {
			must(t, n.replaceConfiguration([]byte(peersOf(behind, ahead))))
			must(t, n.replaceConfiguration([]byte(peersOf(behind))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newCluster(t, 3)
			ahead, behind := h.members[1], h.members[2]
			h.members[0].write("everywhere")
			h.sameRecords()
			behind.kill()
			var acknowledged []string
			for i := range 5 {
				acknowledged = append(acknowledged, fmt.Sprintf("acknowledged-%d", i))
				ahead.write(acknowledged[i])
			}
			h.members[0].kill()
			ahead.kill()

			behind.offline(func(n *Node) { before(behind, ahead, n) })
			for _, m := range []*member{behind, ahead} {
				m.layPeers(peersOf(ahead, behind))
				m.start(Config{})
			}

			h.leader()
			behind.write("after")
			h.sameRecords()
			if diff := cmp.Diff(append(acknowledged, "after", "everywhere"), behind.profiles()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// One that led for a moment, unheard, is a term ahead of the others, and they
// elect two leaders before it is up again: the second one finds an entry where
// the log of the first ends, and must not take it for one of the first's.
func TestNoLeaderHasTheTermOfAnEntryThatAnotherMemberRecoversWith(t *testing.T) {
	h := newCluster(t, 3)
	unheard := h.members[2]
	h.members[0].write("everywhere")
	h.sameRecords()
	for _, m := range h.members {
		m.kill()
	}
	unheard.offline(func(n *Node) {
		at, err := n.lastEntry()
		must(t, err)
		must(t, n.Store.Log().SetUint64([]byte("CurrentTerm"), at.Term+1))
		must(t, n.Store.Log().StoreLogs([]*raft.Log{
			{Index: at.Index + 1, Term: at.Term + 1, Type: raft.LogNoop},
			{Index: at.Index + 2, Term: at.Term + 1, Type: raft.LogCommand, Data: createProfile("unheard").Encode()}}))
	})
	for _, m := range h.members {
		m.layPeers(peersOf(h.members...))
	}
	others := h.members[:2]
	for i := range 2 {
		for _, m := range others {
			m.start(Config{})
		}
		h.leader().write(fmt.Sprintf("after-%d", i))
		if i == 0 {
			others[0].kill()
			others[1].kill()
		}
	}
	unheard.start(Config{})

	h.sameRecords()
	if diff := cmp.Diff([]string{"after-0", "after-1", "everywhere"}, unheard.profiles()); diff != "" {
		t.Error(diff)
	}
}

// Years later, say: the terms have gone on from the leap, and leap again.
func TestAClusterIsRecoveredASecondTime(t *testing.T) {
	h := newCluster(t, 3)
	var terms []uint64
	for i := range 2 {
		h.leader().write(fmt.Sprintf("before-%d", i))
		h.sameRecords()
		h.members[i].kill()
		left := h.members[i+1:]
		for _, m := range left {
			m.kill()
		}
		for _, m := range left {
			m.layPeers(peersOf(left...))
			m.start(Config{})
		}
		terms = append(terms, h.leader().node.raft.CurrentTerm())
		h.members[2].write(fmt.Sprintf("after-%d", i))
	}
	if diff := cmp.Diff([]string{"after-0", "after-1", "before-0", "before-1"}, h.members[2].profiles()); diff != "" {
		t.Error(diff)
	}
	if terms[1] < terms[0]+termLeap {
		t.Errorf("terms %v", terms)
	}
}

// The log may be gone: the records say where it ended.
func TestAMemberWhoseLogWasCompactedIsRecovered(t *testing.T) {
	h := newCluster(t, 2)
	last := h.members[1]
	last.write("kept")
	must(t, last.node.Compact(h.ctx(), 0))
	h.members[0].kill()
	last.kill()
	var term uint64
	last.offline(func(n *Node) {
		at, err := n.lastEntry()
		must(t, err)
		if term = at.Term; at.Index < n.Store.Applied() || term == 0 {
			t.Errorf("its last entry is %+v", at)
		}
	})
	last.layPeers(peersOf(last))
	last.start(Config{})

	h.leader().write("after")
	if now := last.node.raft.CurrentTerm(); now <= term+termLeap {
		t.Errorf("term %d, and %d before", now, term)
	}
}

func TestAPeersFileThatIsWrongIsRefusedAndChangesNothing(t *testing.T) {
	h := newCluster(t, 1)
	m := h.members[0]
	m.kill()
	me := fmt.Sprintf(`{"id":%q,"address":%q}`, m.self.ID, m.self.Raft)
	for name, c := range map[string]struct{ text, word string }{
		"no JSON":          {"hello", "want a list"},
		"another field":    {`[{"id":"a","addres":"b:1"}]`, "addres"},
		"no id":            {`[{"address":"127.0.0.1:1"}]`, "member 1 has no id"},
		"no port":          {`[{"id":"a","address":"127.0.0.1"}]`, "HOST:PORT"},
		"one named twice":  {"[" + me + "," + me + "]", "named twice"},
		"nobody votes":     {fmt.Sprintf(`[{"id":%q,"address":%q,"non_voter":true}]`, m.self.ID, m.self.Raft), "names no voter"},
		"without this one": {`[{"id":"a","address":"127.0.0.1:1"}]`, "does not name this member"},
	} {
		m.layPeers(c.text)
		m.listen(m.self.Raft)
		err := m.tryOpen(Config{})
		must(t, m.listener.Close())
		if err == nil || !strings.Contains(err.Error(), c.word) || !strings.Contains(err.Error(), peersFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.Remove(filepath.Join(m.dir, peersFile)))
	m.listener = nil
	m.start(Config{})
	h.leader().write("as before")
}

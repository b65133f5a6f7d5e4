package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

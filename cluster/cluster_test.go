package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func TestAClusterOfOneWorksAtOnceAndAfterARestart(t *testing.T) {
	h := newCluster(t, 1)
	m := h.members[0]
	m.write("before")
	m.kill()
	m.start(Config{Init: &store.ClusterInit{Cluster: model.Cluster{ID: "another"}}})
	m.write("after")
	if diff := cmp.Diff([]string{"after", "before"}, m.profiles()); diff != "" {
		t.Error("profiles (-want +got):\n" + diff)
	}
	record, err := m.node.record()
	must(t, err)
	if record.ID != "test" {
		t.Errorf("the restart began cluster %q over the one that was there", record.ID)
	}
}

func TestAnEmptyDirectoryWithoutAWordIsRefused(t *testing.T) {
	h := newCluster(t, 1)
	err := h.add("n2").tryOpen(Config{})
	if err == nil || !strings.Contains(err.Error(), "neither to begin a cluster nor to join one") {
		t.Errorf("opened, or refused without saying why: %v", err)
	}
}

func TestThreeMembersReadWhatTheOthersWrote(t *testing.T) {
	h := newCluster(t, 3)
	for _, m := range h.members {
		m.write("by " + m.self.Name)
		if got := m.profiles(); got[len(got)-1] != "by "+m.self.Name {
			t.Errorf("%s answered a write before it was applied here: %v", m.self.Name, got)
		}
	}
	for _, m := range h.members {
		must(t, m.node.ReadIndex(h.ctx()))
		if diff := cmp.Diff([]string{"by n1", "by n2", "by n3"}, m.profiles()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", m.self.Name, diff)
		}
	}
}

func TestPeersShowEveryMemberAndWhoIsGone(t *testing.T) {
	h := newCluster(t, 3)
	h.members[2].kill()
	must(t, h.members[1].node.ReadIndex(h.ctx()))
	peers, err := h.members[1].node.Peers(h.ctx())
	must(t, err)
	type row struct {
		name                   string
		voter, leader, offline bool
	}
	var got []row
	for _, p := range peers {
		got = append(got, row{p.Name, p.Voter, p.Leader, p.Offline})
		if !p.Offline && p.Applied == 0 {
			t.Errorf("%s is there and has applied nothing", p.Name)
		}
	}
	want := []row{{"n1", true, true, false}, {"n2", true, false, false}, {"n3", true, false, true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error("peers (-want +got):\n" + diff)
	}
}

func TestARequestThatIsRetriedIsNotAppliedTwice(t *testing.T) {
	h := newCluster(t, 3)
	c := createProfile("once")
	first, err := h.members[1].node.Propose(h.ctx(), c)
	must(t, err)
	must(t, h.members[0].node.HandOver(h.ctx(), "n3"))
	for _, m := range h.members {
		again, err := m.node.Propose(h.ctx(), c)
		must(t, err)
		if again != first {
			t.Errorf("through %s: answered %+v, the first time %+v", m.self.Name, again, first)
		}
	}
}

func TestAWriteThroughAFollowerOutlivesTheLeader(t *testing.T) {
	h := newCluster(t, 3)
	follower, leader := h.members[1], h.leader()
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			name := "p" + strings.Repeat("x", i)
			if a, err := follower.node.Propose(context.Background(), createProfile(name)); err != nil || a.Code != "" {
				done <- errors.Join(err, a.Err())
				return
			}
		}
	}()
	eventually(t, "writes flow", func() error { return atLeast(5, len(follower.profiles())) })
	leader.kill()
	h.leader()
	before := len(follower.profiles())
	eventually(t, "writes flow again", func() error { return atLeast(before+5, len(follower.profiles())) })
	close(stop)
	must(t, <-done)
	leader.start(Config{})
}

func atLeast(want, got int) error {
	if got < want {
		return errors.New("not yet")
	}
	return nil
}

func TestAReadAfterAChangeOfLeaderWithoutAWriteIsAnswered(t *testing.T) {
	h := newCluster(t, 3)
	h.members[0].write("a")
	must(t, h.members[0].node.HandOver(h.ctx(), "n2")) // the log ends with a no-op and a barrier now
	for _, m := range h.members {
		must(t, m.node.ReadIndex(h.ctx()))
	}
	for _, m := range h.members {
		must(t, m.node.Compact(h.ctx(), 0)) // and now even those are gone
		must(t, m.node.ReadIndex(h.ctx()))
	}
}

func TestAMemberWhoseVotersKnowALaterTermDoesNotRead(t *testing.T) {
	h := newCluster(t, 3)
	leader := h.leader().node
	term, _ := leader.leadingTerm()
	must(t, leader.confirm(h.ctx(), term))
	var moved *elsewhere
	if err := leader.confirm(h.ctx(), term-1); !errors.As(err, &moved) {
		t.Errorf("a leader of an earlier term was confirmed: %v", err)
	}
	h.members[1].kill()
	must(t, leader.confirm(h.ctx(), term))
}

func TestLeadershipGoesWhereItIsSent(t *testing.T) {
	h := newCluster(t, 3)
	for _, to := range []string{"n2", "n3", "n2", "n1"} {
		changed := h.members[2].node.Leadership()
		must(t, h.members[2].node.HandOver(h.ctx(), to)) // asked of a member that may or may not lead
		eventually(t, to+" leads", func() error {
			if l := h.leader(); l.self.Name != to {
				return errors.New(l.self.Name + " does")
			}
			return nil
		})
		select {
		case <-changed:
		case <-h.ctx().Done():
			t.Error("n3 was not told that leadership had moved")
		}
	}
	must(t, h.members[1].node.HandOver(h.ctx(), ""))
	if l := h.leader(); l.self.Name == "n1" {
		t.Error("asked to leave, the leader stayed")
	}
	if err := h.members[0].node.HandOver(h.ctx(), "nobody"); model.KindOf(err) != model.NotFound {
		t.Errorf("handed over to nobody: %v", err)
	}
}

func TestHandingOverToADeadMemberSaysWhoLeads(t *testing.T) {
	h := newCluster(t, 3)
	h.members[2].kill()
	err := h.members[0].node.HandOver(h.ctx(), "n3")
	if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), "leads") {
		t.Errorf("got %v", err)
	}
	h.members[0].write("served on")
}

func TestARestartOnTheInheritedListenerLosesNoCall(t *testing.T) {
	h := newCluster(t, 3)
	leader, m := h.leader().self.ID, h.members[1]
	m.stop()
	answered := make(chan error, 1)
	go func() { answered <- h.members[0].node.Ping(h.ctx(), m.self.ID) }()
	h.members[0].write("meanwhile")
	m.start(Config{LeaderHint: leader})
	m.write("first thing")
	must(t, <-answered)
}

func TestAMemberWithoutAMajorityNamesWhatToDo(t *testing.T) {
	h := newCluster(t, 3)
	h.members[0].kill()
	h.members[1].kill()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := h.members[2].node.Propose(ctx, createProfile("never"))
	if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), "ha peers") {
		t.Errorf("got %v", err)
	}
	h.members[0].start(Config{})
	h.members[1].start(Config{})
	h.leader().write("back")
}

func TestAnEntryThatCannotBeReadStopsTheMemberAndIsNotSkipped(t *testing.T) {
	h := newCluster(t, 3)
	leader := h.leader().node
	// Straight into the log: Propose would not let it through.
	if err := leader.raft.Apply([]byte(`{"op":"from.the.future"}`), 0).Error(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader stops", func() error {
		if leader.Store.Fault() == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	// Whoever leads next finds the same entry, and stops; the last one finds no
	// majority. Nobody takes a write.
	for _, m := range h.members {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := m.node.Propose(ctx, createProfile("late")); model.KindOf(err) != model.Unavailable {
			t.Errorf("%s took a write: %v", m.self.Name, err)
		}
		cancel()
		if len(m.profiles()) > 0 {
			t.Errorf("%s skipped the entry", m.self.Name)
		}
	}
	eventually(t, "most have stopped", func() error {
		stopped := 0
		for _, m := range h.members {
			if m.store.Fault() != nil {
				stopped++
			}
		}
		return atLeast(2, stopped)
	})
	if h.leading() != nil {
		t.Error("somebody leads on")
	}
	for _, m := range h.members { // there is no quorum left to compare records by
		must(t, m.node.Close())
		must(t, m.store.Close())
		m.node = nil
	}
}

func TestTheGateIsAskedBeforeACommandIsWritten(t *testing.T) {
	h := newCluster(t, 2)
	for _, m := range h.members {
		_, err := m.node.Propose(h.ctx(), store.New("from.the.future", struct{}{}))
		if err == nil || !strings.Contains(err.Error(), "not known to this version") {
			t.Errorf("through %s: %v", m.self.Name, err)
		}
	}
}

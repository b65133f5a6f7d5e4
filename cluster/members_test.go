package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func TestAJoinerIsRefusedForAReason(t *testing.T) {
	h := newCluster(t, 1)
	n := h.members[0].node
	n.MayJoin = func(cluster, joiner string) error {
		if joiner == "3.0.0" {
			return fmt.Errorf("%s → %s is too far", cluster, joiner)
		}
		return nil
	}
	good, _, err := n.NewJoinToken(h.ctx(), time.Hour)
	must(t, err)
	print, secret, _ := strings.Cut(good, ".")
	old := model.Token{Hash: tokenHash("old"), Join: true, Expires: "2020-01-01T00:00:00Z"}
	login := model.Token{Hash: tokenHash("login"), User: "admin", Expires: "2999-01-01T00:00:00Z"}
	for _, token := range []model.Token{old, login} {
		_, err := n.Propose(h.ctx(), store.New(store.OpTokenPut, store.TokenPut{Token: token}))
		must(t, err)
	}
	for _, c := range []struct {
		name  string
		token string
		what  func(*model.Member)
		want  string
	}{
		{"a token of another cluster", strings.Repeat("00", 32) + "." + secret, nil, "not of the cluster"},
		{"a token with another secret", print + ".wrong", nil, "has expired"},
		{"a token that has expired", print + ".old", nil, "has expired"},
		{"a login token", print + ".login", nil, "has expired"},
		{"no token at all", "hello", nil, "this is not a join token"},
		{"another member's name", good, func(m *model.Member) { m.Name = "n1" }, "already has the name n1"},
		{"another member's API address", good, func(m *model.Member) { m.API = "https://n1:8092" }, "already has the API address"},
		{"another member's raft address", good, func(m *model.Member) { m.Raft = h.members[0].self.Raft }, "already has the member address"},
		{"a copied data directory", good, func(m *model.Member) { m.ID = h.members[0].self.ID }, "copied or restored"},
		{"a version that the rules do not allow", good, func(m *model.Member) { m.Version = "3.0.0" }, "1.0.0 → 3.0.0 is too far"},
		{"too old a version", good, func(m *model.Member) { m.Version = "0.9.0" }, "the cluster is at 1.0.0"},
	} {
		m := h.add("joiner")
		if c.what != nil {
			c.what(&m.self)
		}
		err := m.tryOpen(Config{Join: &Join{URL: h.members[0].api.URL, Token: c.token}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "join https://") {
			t.Errorf("%s: got %v, want one at its enrolment with %q", c.name, err, c.want)
		}
	}
	if peers := n.servers(); len(peers) != 1 {
		t.Errorf("somebody slipped in: %v", peers)
	}
}

// It would have to stop at the first record that it cannot read.
func TestAJoinerThatCannotReadTheClusterIsRefusedBeforeItIsSentAnything(t *testing.T) {
	h := newCluster(t, 1)
	n := h.members[0].node
	token, _, err := n.NewJoinToken(h.ctx(), time.Hour)
	must(t, err)
	_, err = n.Propose(h.ctx(), store.New(store.OpClusterLevel, store.ClusterLevel{Level: 99}))
	must(t, err)
	m := h.add("n2")

	err = m.tryOpen(Config{Join: &Join{URL: h.members[0].api.URL, Token: token}})

	if err == nil || !strings.Contains(err.Error(), "the cluster is at 99: start n2 with the theseusd that the members run") {
		t.Errorf("got %v", err)
	}
	if peers := n.servers(); len(peers) != 1 {
		t.Errorf("it slipped in: %v", peers)
	}
}

// The cluster may have gone on since it enrolled.
func TestAJoinerThatTheClusterOutranSinceItEnrolledIsRefused(t *testing.T) {
	h := newCluster(t, 2)
	n := h.members[0].node
	token, _, err := n.NewJoinToken(h.ctx(), time.Hour)
	must(t, err)
	m := h.add("n3")
	h.enrolOnly(m, token)
	n.MayJoin = func(cluster, joiner string) error { return errors.New("too far by now") }
	h.members[1].node.MayJoin = n.MayJoin

	err = m.tryOpen(Config{})

	if model.KindOf(err) != model.Refused || !strings.Contains(err.Error(), "too far by now") {
		t.Errorf("got %v", err)
	}
	h.shouldHave("n1", "n2")
}

// inUpgrade puts an upgrade of that phase into the records.
func (h *harness) inUpgrade(phase model.Phase) {
	h.t.Helper()
	a := model.Archive{Digest: strings.Repeat("ab", 32), Size: 1, Version: "1.1.0"}
	for _, c := range []store.Command{
		store.New(store.OpStageAnnounce, store.StageAnnounce{Staging: model.Staging{ID: "s", Archive: a}}),
		store.New(store.OpStageCommit, store.StageCommit{ID: "s", Upgrade: model.Upgrade{ID: "s", Archive: a, Phase: phase}}),
	} {
		answer, err := h.members[0].node.Propose(h.ctx(), c)
		must(h.t, errors.Join(err, answer.Err()))
	}
}

func TestMembershipIsFrozenDuringAnUpgradeButForTheDead(t *testing.T) {
	h := newCluster(t, 3)
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(t, err)
	h.inUpgrade(model.Rolling)
	err = h.add("n4").tryOpen(Config{Join: &Join{URL: h.members[0].api.URL, Token: token}})
	if err == nil || !strings.Contains(err.Error(), "membership is frozen while the upgrade to 1.1.0 is rolling") {
		t.Errorf("join: %v", err)
	}
	err = h.members[1].node.Remove(h.ctx(), "n3")
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("remove a live member: %v", err)
	}
	h.members[2].kill()
	must(t, h.members[1].node.Remove(h.ctx(), "n3"))
	if got := len(h.members[0].node.Voters()); got != 2 {
		t.Errorf("%d voters are left", got)
	}
}

func TestRemovingMembersDownToOne(t *testing.T) {
	h := newCluster(t, 3)
	must(t, h.members[1].node.Remove(h.ctx(), "n1")) // the leader: hands over first
	h.shouldHave("n2", "n3")
	leader := h.leader()
	must(t, leader.node.Remove(h.ctx(), leader.self.ID)) // the leader again, of two
	h.leader().write("alone")
	err := h.leader().node.Remove(h.ctx(), h.leader().self.Name)
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "no other to lead") {
		t.Errorf("remove the last: %v", err)
	}
	if err := h.leader().node.Remove(h.ctx(), "nobody"); model.KindOf(err) != model.NotFound {
		t.Errorf("remove nobody: %v", err)
	}
}

func (h *harness) shouldHave(names ...string) {
	h.t.Helper()
	leader := h.leader()
	var got []string
	must(h.t, leader.store.View(func(v *store.View) error {
		members, err := v.Members()
		for _, m := range members {
			got = append(got, m.Name)
		}
		return err
	}))
	for _, m := range h.members {
		_, voter := find(leader.node.servers(), m.self.ID)
		if want := strings.Contains(strings.Join(names, " "), m.self.Name); voter != want {
			h.t.Errorf("%s in raft's configuration: %v, want %v", m.self.Name, voter, want)
		}
	}
	for _, name := range got {
		if !strings.Contains(strings.Join(names, " "), name) {
			h.t.Errorf("the records still know %s", name)
		}
	}
}

func TestARemovalThatWouldCostTheMajorityIsRefused(t *testing.T) {
	h := newCluster(t, 3)
	h.members[2].kill()
	err := h.members[0].node.Remove(h.ctx(), "n2")
	if model.KindOf(err) != model.Conflict || !strings.Contains(err.Error(), "only 1 answer") {
		t.Errorf("got %v", err)
	}
	must(t, h.members[0].node.Remove(h.ctx(), "n3"))
	h.members[1].write("two are enough")
}

func TestARemovedMemberIsNotLetInAgain(t *testing.T) {
	h := newCluster(t, 3)
	gone := h.members[2]
	must(t, h.members[0].node.Remove(h.ctx(), "n3"))
	err := h.members[2].node.calls.post(h.ctx(), h.members[0].self.ID, pathPing, []byte("{}"), nil)
	if model.KindOf(err) != model.Forbidden {
		t.Errorf("its call was answered: %v", err)
	}
	if !gone.node.Removed() {
		t.Error("it takes itself for a member")
	}
	if h.members[1].node.Removed() {
		t.Error("another takes itself for removed")
	}
	gone.kill()
	h.members[1].write("without it")
	gone.start(Config{})
	if !gone.node.Removed() {
		t.Error("after a restart it takes itself for a member")
	}
}

// Nobody could tell it, and raft does not send to it any more.
func TestAMemberThatWasDownWhenItWasRemovedHearsOfItFromTheLeader(t *testing.T) {
	h := newCluster(t, 3)
	leader, follower, gone := h.members[0], h.members[1], h.members[2]
	gone.kill()
	must(t, leader.node.Remove(h.ctx(), "n3"))
	must(t, follower.node.ReadIndex(h.ctx()))
	gone.start(Config{})
	ask := func(m *member) {
		t.Helper()
		if err := gone.node.Ping(h.ctx(), m.self.ID); model.KindOf(err) != model.Forbidden {
			t.Errorf("%s answered it: %v", m.self.Name, err)
		}
	}
	ask(follower)
	if gone.node.Removed() {
		t.Error("it believes one that may not have heard yet who joined")
	}
	eventually(t, "it takes itself for removed", func() error {
		if ask(leader); !gone.node.Removed() {
			return errors.New("it does not")
		}
		return nil
	})
}

// A leader that was cut off may not know who has joined since.
func TestAMemberWithALeaderIsNotTurnedAwayByAnother(t *testing.T) {
	h := newCluster(t, 2)
	n := h.members[1].node
	h.sameRecords()
	n.heed(&turnedAway{cause: errors.New("who are you?"), byLeader: true})
	if n.Removed() {
		t.Error("it takes itself for removed")
	}
	h.members[0].kill()
	eventually(t, "there is no leader", func() error {
		if id, led := n.Leader(); led || n.stranger.Load() {
			return fmt.Errorf("it takes %q for one", id)
		}
		return nil
	})
	if n.Removed() {
		t.Error("without a leader it takes itself for removed")
	}
	h.members[0].start(Config{})
	h.leader()
}

// The removal was not committed, say, and another leads that does not know of it.
func TestALeaderThatTurnsUpAfterAllUndoesThatItWasTurnedAway(t *testing.T) {
	h := newCluster(t, 3)
	h.sameRecords()
	for _, m := range h.members {
		m.kill()
	}
	m := h.members[2]
	m.start(Config{})
	m.node.heed(&turnedAway{cause: errors.New("who are you?"), byLeader: true})
	if !m.node.Removed() {
		t.Error("it takes itself for a member")
	}

	h.members[0].start(Config{})
	h.members[1].start(Config{})

	h.leader()
	eventually(t, "it takes itself for a member again", func() error {
		if m.node.Removed() || m.node.stranger.Load() {
			return errors.New("it takes itself for removed")
		}
		return nil
	})
	m.write("still in")
}

func TestAJoinerThatDiedOnTheWayGoesOnWithoutItsToken(t *testing.T) {
	h := newCluster(t, 2)
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(t, err)
	m := h.add("n3")
	h.enrolOnly(m, token)
	m.start(Config{Join: &Join{URL: "https://127.0.0.1:1", Token: "worthless"}})
	h.shouldHave("n1", "n2", "n3")
	m.kill()
	m.start(Config{Join: &Join{URL: "https://127.0.0.1:1", Token: "worthless"}}) // the same command line, as a member
	m.write("still in")
}

// enrolOnly takes a joiner as far as its certificate.
func (h *harness) enrolOnly(m *member, token string) {
	h.t.Helper()
	keys, err := OpenKeys(m.dir)
	must(h.t, err)
	n := &Node{log: m.log, Config: Config{Keys: keys, Dir: m.dir, Self: m.self, Log: m.log, Join: &Join{URL: h.members[0].api.URL, Token: token}}}
	peers, err := n.enrol(h.ctx())
	must(h.t, err)
	if len(peers) != 2 {
		h.t.Fatalf("enrolled with %d peers", len(peers))
	}
}

func TestAJoinTokenIsKeptAsAHashAndExpires(t *testing.T) {
	h := newCluster(t, 1)
	token, expires, err := h.members[0].node.NewJoinToken(h.ctx(), 2*time.Hour)
	must(t, err)
	if left := time.Until(expires); left > 2*time.Hour || left < time.Hour {
		t.Errorf("it lasts %s", left)
	}
	_, secret, err := splitToken(token)
	must(t, err)
	raw, err := os.ReadFile(h.members[0].dir + "/raft.db")
	must(t, err)
	if strings.Contains(string(raw), secret) {
		t.Error("the log holds the secret of a join token")
	}
	if _, _, err := h.members[0].node.NewJoinToken(h.ctx(), 31*24*time.Hour); model.KindOf(err) != model.Malformed {
		t.Errorf("a token for ever: %v", err)
	}
}

func TestAnIdentityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadIdentity(dir)
	must(t, err)
	second, err := LoadIdentity(dir)
	must(t, err)
	if diff := cmp.Diff(first, second); diff != "" || len(first.ID) != 36 || first.ID == first.Incarnation {
		t.Errorf("%+v, then %+v", first, second)
	}
	must(t, os.WriteFile(dir+"/"+identityFile, []byte(`{"id":"x","incarnation":"y","more":1}`), 0o644))
	if _, err := LoadIdentity(dir); err == nil {
		t.Error("an identity with an unknown field was read")
	}
}

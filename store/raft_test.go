package store

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// fsm is all that has to stand between Raft and the store.
type fsm struct{ *ship }

func (f fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

func (f fsm) ApplyBatch(logs []*raft.Log) []any {
	entries, answers := make([]Entry, len(logs)), make([]any, len(logs))
	for i, l := range logs {
		entries[i] = Entry{Index: l.Index, Term: l.Term, Data: l.Data}
		if l.Type == raft.LogConfiguration {
			entries[i].Data, entries[i].Config = nil, l.Data
		}
	}
	for i, a := range f.Store.Apply(entries) {
		answers[i] = a
	}
	return answers
}

// crew is a cluster of real Rafts on stores, connected in memory.
type crew struct {
	t    *testing.T
	net  map[string]*raft.InmemTransport
	raft map[string]*raft.Raft
	ship map[string]*ship
}

func newCrew(t *testing.T) *crew {
	return &crew{t: t, net: map[string]*raft.InmemTransport{}, raft: map[string]*raft.Raft{}, ship: map[string]*ship{}}
}

func (c *crew) start(name string) {
	c.t.Helper()
	if c.ship[name] == nil {
		c.ship[name] = newShip(c.t)
	}
	_, transport := raft.NewInmemTransport(raft.ServerAddress(name))
	for other, theirs := range c.net {
		theirs.Connect(raft.ServerAddress(name), transport)
		transport.Connect(raft.ServerAddress(other), theirs)
	}
	c.net[name] = transport
	s := c.ship[name]
	cache, err := raft.NewLogCache(16, s.Log())
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := raft.NewRaft(configOf(name), fsm{s}, cache, s.Log(), s.Snapshots(), transport)
	if err != nil {
		c.t.Fatal(err)
	}
	c.raft[name] = r
	c.t.Cleanup(func() { c.stop(name) })
}

func configOf(name string) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(name)
	c.HeartbeatTimeout, c.ElectionTimeout = 300*time.Millisecond, 300*time.Millisecond
	c.LeaderLeaseTimeout, c.CommitTimeout = 300*time.Millisecond, 5*time.Millisecond
	c.TrailingLogs = 0
	c.NoSnapshotRestoreOnStart = true
	c.Logger = hclog.NewNullLogger()
	return c
}

// stop ends Raft and opens the store anew, as a restart does.
func (c *crew) stop(name string) {
	c.t.Helper()
	r := c.raft[name]
	if r == nil {
		return
	}
	delete(c.raft, name)
	delete(c.net, name)
	for _, theirs := range c.net {
		theirs.Disconnect(raft.ServerAddress(name))
	}
	if err := r.Shutdown().Error(); err != nil {
		c.t.Errorf("shut down %s: %v", name, err)
	}
	c.ship[name].reopen()
}

func (c *crew) must(f raft.Future) {
	c.t.Helper()
	if err := f.Error(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within 20 s", what)
		}
		select {
		case <-c.t.Context().Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *crew) propose(name string, data []byte) {
	c.t.Helper()
	f := c.raft[name].Apply(data, 10*time.Second)
	c.must(f)
	if err := f.Response().(Answer).Err(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crew) leads(name string) {
	c.t.Helper()
	c.until(name+" leads", func() bool { return c.raft[name].State() == raft.Leader })
}

func TestRaftRunsOnTheStoreThroughCompactionRestartAndJoin(t *testing.T) {
	c, load := newCrew(t), newCargo(5*ChunkSize+9, 1)
	c.start("n1")
	c.must(c.raft["n1"].BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "n1"}}}))
	c.leads("n1")
	c.propose("n1", load.announced().Encode())
	for _, chunk := range load.chunks() {
		c.propose("n1", EncodeChunk(chunk))
	}
	c.must(c.raft["n1"].Barrier(0))
	c.must(c.raft["n1"].Snapshot())
	if has, err := c.ship["n1"].Log().HasStub(load.digest); has || err != nil {
		t.Fatalf("after a snapshot the log has a stub: %v, %v", has, err)
	}
	c.stop("n1")
	c.start("n1")
	c.leads("n1")
	c.start("n2")
	c.must(c.raft["n1"].AddVoter("n2", "n2", 0, 0))
	c.propose("n1", profile("a").Encode())
	c.same("n1", "n2")
	c.ship["n2"].wantArchive(load)
	if first, _ := c.ship["n2"].Log().FirstIndex(); first <= uint64(len(load.chunks())) {
		t.Errorf("n2 has entry %d in its log: it was not sent a snapshot", first)
	}
}

func (c *crew) same(a, b string) {
	c.t.Helper()
	c.until(b+" is where "+a+" is", func() bool {
		return c.raft[a].CommitIndex() == c.raft[a].LastIndex() && c.ship[a].Applied() == c.ship[b].Applied() &&
			c.ship[a].digest() == c.ship[b].digest()
	})
}

func TestAFollowerThatFellBehindTheLogGetsASnapshot(t *testing.T) {
	c := newCrew(t)
	names := []string{"n1", "n2", "n3"}
	var all raft.Configuration
	for _, name := range names {
		c.start(name)
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
	}
	c.must(c.raft["n1"].BootstrapCluster(all))
	c.until("somebody leads", func() bool { return c.leader() != "" })
	leader := c.leader()
	away := names[0]
	if away == leader {
		away = names[1]
	}
	c.propose(leader, profile("before").Encode())
	c.same(leader, away)
	c.stop(away)
	load := newCargo(3*ChunkSize, 1)
	c.propose(leader, load.announced().Encode())
	for _, chunk := range load.chunks() {
		c.propose(leader, EncodeChunk(chunk))
	}
	c.must(c.raft[leader].Snapshot())
	c.start(away)
	c.propose(leader, profile("after").Encode())
	c.same(leader, away)
	c.ship[away].wantArchive(load)
}

func (c *crew) leader() string {
	for name, r := range c.raft {
		if r.State() == raft.Leader {
			return name
		}
	}
	return ""
}

var _ raft.BatchingFSM = fsm{}

package cluster

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Config is what a Node is made of.
type Config struct {
	Store *store.Store
	Keys  *Keys
	Dir   string // the data directory

	// Self is this member as it reports itself: id, name, API, raft address,
	// version, image, platform, incarnation, boot, PID.
	Self model.Member
	// Hosts are the names and addresses in this member's certificates.
	Hosts []string
	// Listener is the member-to-member port, TCP; it may be inherited.
	Listener net.Listener

	// LeaderHint is the id of the member that led when the previous image of
	// this process ended; it is asked first. It may be empty.
	LeaderHint string

	// Init makes a cluster of one of an empty data directory. Its CA is made
	// here. It is ignored once there is state.
	Init *store.ClusterInit
	// MayJoin is why a joiner of one version may not come to a cluster at another
	// that is not newer, or nil; without it every one may.
	MayJoin func(cluster, joiner string) error
	// Join makes an empty data directory a member of a cluster. It is ignored
	// once there is state.
	Join *Join

	Log *slog.Logger
}

// Join says where and with what to ask for membership.
type Join struct {
	URL   string // API of any member
	Token string // as NewJoinToken made it
}

func (c Config) check() error {
	switch {
	case c.Store == nil || c.Keys == nil || c.Listener == nil || c.Log == nil:
		return errors.New("open the cluster member: store, keys, listener or log is missing")
	case c.Self.ID == "" || c.Self.Raft == "":
		return errors.New("open the cluster member: its id or raft address is missing")
	}
	return nil
}

// Raft's settings. The timeouts are its defaults.
const (
	commitTimeout    = 5 * time.Millisecond // a follower learns up to twice that late that an entry is committed
	maxAppendEntries = 8                    // of at most 512 KiB: 4 MiB a message
	cachedEntries    = 64                   // in memory, so that chunks are not read back: 32 MiB
	snapshotEvery    = 8192                 // entries; a snapshot copies nothing
	trailingEntries  = 4096                 // kept for a member that is away for a moment
	rpcTimeout       = 10 * time.Second
	pooledConns      = 3

	// One request at a time to each follower: raft's pipeline deadlocks when a
	// follower answers with a later term while the next request is being sent
	// (pipelineDecode returns, and netPipeline's AppendEntries and
	// decodeResponses wait for it for ever), and its shutdown then never ends.
	rpcsInFlight = 1
)

// raftConfig is raft's configuration; see lead.go for why the heartbeat begins
// one millisecond above the default.
func (c Config) raftConfig() *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = raft.ServerID(c.Self.ID)
	r.HeartbeatTimeout += time.Millisecond
	r.ElectionTimeout += time.Millisecond
	r.CommitTimeout = commitTimeout
	r.MaxAppendEntries = maxAppendEntries
	r.BatchApplyCh = true
	r.SnapshotThreshold = snapshotEvery
	r.TrailingLogs = trailingEntries
	r.NoSnapshotRestoreOnStart = true // the records are the snapshot
	r.ShutdownOnRemove = false        // a removed member says so instead of falling silent
	r.NoLegacyTelemetry = true
	r.Logger = raftLog(c.Log)
	return r
}

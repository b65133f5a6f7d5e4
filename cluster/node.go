package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Node is one member of the cluster.
type Node struct {
	Config
	log *slog.Logger

	raft      *raft.Raft
	logs      raft.LogStore // the store's, behind a cache
	transport *raft.NetworkTransport
	port      *port
	calls     *calls
	lead      leadership

	started chan struct{} // closed when raft is there
	removed atomic.Bool   // this member was told that it is none any more

	stranger atomic.Bool     // a leader has refused it as one
	life     context.Context // ends with Close
	end      context.CancelFunc
	once     sync.Once
	running  sync.WaitGroup

	membership chan struct{} // full while this member, as leader, adds or removes one
	compaction sync.Mutex    // held while the log is compacted
}

// Open opens this member on an open store, and returns when it is one: in a
// cluster of its own (Init), in the one it joined (Join), or, restarted, in the
// one it is in; it does not wait for a leader then. The caller closes the Node
// before the store.
func Open(ctx context.Context, c Config) (*Node, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &Node{Config: c, log: c.Log, started: make(chan struct{}),
		membership: make(chan struct{}, 1)}
	n.life, n.end = context.WithCancel(context.Background())
	n.lead.changed = make(chan struct{})
	n.calls = newCalls(n)
	begin, err := n.prepare(ctx)
	if err == nil {
		err = n.start()
	}
	if err != nil {
		n.end()
		return nil, err
	}
	if err := begin(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// prepare sees to what raft needs before it starts, and answers what is to be
// done once it runs.
func (n *Node) prepare(ctx context.Context) (begin func(context.Context) error, err error) {
	fresh, err := Fresh(n.Store)
	if err != nil {
		return nil, err
	}
	pending, err := n.pendingJoin()
	switch {
	case err != nil:
		return nil, err
	case pending != nil:
		return n.enter(pending), nil
	case fresh && n.Join != nil:
		peers, err := n.enrol(ctx)
		return n.enter(peers), err
	case fresh && n.Init != nil:
		return n.awaitRecord, n.bootstrap(*n.Init)
	case fresh:
		return nil, errors.New("open the cluster member: the data directory is empty, and neither to begin a cluster nor to join one was asked")
	}
	if err := errors.Join(n.recoverQuorum(), n.wasRemoved()); err != nil {
		return nil, err
	}
	return func(context.Context) error { return nil }, n.renewKeys()
}

// start starts raft and then accepts connections; until then the kernel queues.
func (n *Node) start() error {
	n.port = newPort(n.Listener, n.Keys, n.log)
	cache, err := raft.NewLogCache(cachedEntries, n.Store.Log())
	if err != nil {
		return fmt.Errorf("open the cluster member: %w", err)
	}
	n.logs = cache
	conf := n.raftConfig()
	n.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  &stream{lane: n.port.raft, advertised: n.Self.Raft, life: n.life, dial: n.dialRaft, admit: n.admit},
		MaxPool: pooledConns, MaxRPCsInFlight: rpcsInFlight, Timeout: rpcTimeout, Logger: conf.Logger,
	})
	n.raft, err = raft.NewRaft(conf, fsm{n.Store}, cache, n.Store.Log(), n.Store.Snapshots(), n.transport)
	if err != nil {
		n.transport.Close()
		n.port.close()
		return fmt.Errorf("start raft: %w", err)
	}
	close(n.started)
	n.goes(n.watchLeadership)
	n.goes(n.port.run)
	n.goes(n.calls.serve)
	if err := n.electAlone(); err != nil {
		return errors.Join(err, n.Close())
	}
	return nil
}

func (n *Node) goes(f func()) {
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		f()
	}()
}

// Park stops accepting members' connections and leaves the listener open, so
// that the kernel queues them for the next image of this process. Close, called
// next, leaves the listener open too.
func (n *Node) Park() error { return n.port.park() }

// Close stops raft and ends every connection. It may be called again.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.end()
		stopped := n.raft.Shutdown()
		n.transport.Close() // raft would report the end of its lane as an error otherwise
		n.port.close()
		n.transport.CloseStreams()
		n.calls.close()
		stopped.Error() // waits; it is always nil, says raft's future.go
		n.running.Wait()
	})
	return nil
}

// Run keeps this member's certificates fresh until ctx is over.
func (n *Node) Run(ctx context.Context) error {
	for tick := time.Tick(time.Hour); ; {
		if err := n.renewKeys(); err != nil {
			n.log.Error("renew the certificates of this member", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
}

// renewKeys issues what certificates are missing or due, if the records are here.
func (n *Node) renewKeys() error {
	c, err := n.record()
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.Keys.renew(c, n.Self, n.Hosts, time.Now())
}

// record is the record of the cluster, or ErrNotFound.
func (n *Node) record() (c model.Cluster, err error) {
	err = n.Store.View(func(v *store.View) error {
		c, err = v.Cluster()
		return err
	})
	return c, err
}

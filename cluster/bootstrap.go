package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// Fresh says whether a data directory was never part of a cluster: it then
// needs an Init or a Join.
func Fresh(s *store.Store) (bool, error) {
	last, err := s.Log().LastIndex()
	if err != nil {
		return false, fmt.Errorf("look for the state of a cluster: %w", err)
	}
	return last == 0 && s.Applied() == 0, nil
}

// bootstrap writes the first two entries of a new cluster's log: its
// configuration, as raft.BootstrapCluster does, and the command that makes its
// record. They go in together, so that no crash leaves a cluster without a
// record; whoever finds neither begins again.
func (n *Node) bootstrap(init store.ClusterInit) (err error) {
	if init.Cluster.CACert, init.Cluster.CAKey, err = NewCA(init.Cluster.ID); err != nil {
		return err
	}
	// Raft's name for its term in the stable store: keyCurrentTerm in raft.go.
	if err := n.Store.Log().SetUint64([]byte("CurrentTerm"), 1); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	alone := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(n.Self.ID), Address: raft.ServerAddress(n.Self.Raft)}}}
	command := store.New(store.OpClusterInit, init)
	if err := n.Store.Log().StoreLogs([]*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(alone)},
		{Index: 2, Term: 1, Type: raft.LogCommand, Data: command.Encode()},
	}); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	return nil
}

// awaitRecord waits until the cluster's record is here and issues this member's
// certificates from it.
func (n *Node) awaitRecord(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		changed := n.Store.Changed()
		if _, err := n.record(); err == nil {
			return n.renewKeys()
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return model.Problemf(model.Unavailable, "the cluster's record did not reach this member: %w", ctx.Err())
		}
	}
}

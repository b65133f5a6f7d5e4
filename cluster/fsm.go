package cluster

import (
	"io"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/store"
)

// fsm hands committed entries to the store and holds no state of its own. When
// the store stops, the node stands down by itself: shutting raft down from here
// would wait for this very goroutine.
type fsm struct{ store *store.Store }

// Apply implements raft.FSM.
func (f fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. It gets commands and configurations,
// says runFSM in raft's fsm.go.
func (f fsm) ApplyBatch(logs []*raft.Log) []any {
	entries := make([]store.Entry, len(logs))
	for i, l := range logs {
		entries[i] = store.Entry{Index: l.Index, Term: l.Term}
		if l.Type == raft.LogConfiguration {
			entries[i].Config = l.Data
		} else {
			entries[i].Data = l.Data
		}
	}
	answers := f.store.Apply(entries)
	out := make([]any, len(logs))
	for i, a := range answers {
		out[i] = a
	}
	return out
}

// Snapshot implements raft.FSM. The store is its own snapshot.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) { return f.store.Snapshot() }

// Restore implements raft.FSM: it makes the generation that a snapshot was
// streamed into the live one.
func (f fsm) Restore(r io.ReadCloser) error { return f.store.Restore(r) }

package store

import (
	"fmt"
	"io"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// Snapshots is Raft's snapshot store. The records know up to where the log is
// applied, so they are the one snapshot there is: taking it copies nothing,
// sending it streams the files, and one that arrives becomes a generation of
// its own that Restore makes the live one.
type Snapshots struct{ store *Store }

var _ raft.SnapshotStore = Snapshots{}

// Snapshots is this member's snapshot store. Raft must be told not to restore
// at start (NoSnapshotRestoreOnStart): what it would restore is already here.
func (s *Store) Snapshots() raft.SnapshotStore { return Snapshots{store: s} }

// List answers with the records as they are, once something was applied.
func (n Snapshots) List() (all []*raft.SnapshotMeta, err error) {
	err = n.store.view(func(tx *bolt.Tx) error {
		if meta := metaIn(tx); meta.Index > 0 {
			all = append(all, meta)
		}
		return nil
	})
	return all, err
}

// snapshotVersion is 1 with Raft's protocol 3 (raft, getSnapshotVersion).
const snapshotVersion = 1

func metaIn(tx *bolt.Tx) *raft.SnapshotMeta {
	at := positionIn(tx)
	configuration, index := configurationIn(tx)
	return &raft.SnapshotMeta{
		Version: snapshotVersion, ID: snapshotID(at), Index: at.index, Term: at.term,
		Configuration: configuration, ConfigurationIndex: index,
	}
}

func snapshotID(at position) string { return fmt.Sprintf("%d-%d", at.term, at.index) }

// Create begins to take a snapshot, or to receive one: Raft calls the same
// method for both, and only what comes into the sink tells.
func (n Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if err := n.store.Fault(); err != nil {
		return nil, err
	}
	if version != snapshotVersion {
		return nil, fmt.Errorf("snapshot of version %d: this version knows %d", version, snapshotVersion)
	}
	return &sink{store: n.store, meta: raft.SnapshotMeta{
		Version: version, ID: snapshotID(position{index, term}), Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}}, nil
}

// Open streams the records and archives as they are now, whatever the id; or
// hands Restore the snapshot of that id that has just arrived.
func (n Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if a := n.store.arrival(id); a != nil {
		return &a.meta, a, nil
	}
	if err := n.store.Fault(); err != nil {
		return nil, nil, err
	}
	return n.store.send()
}

// Snapshot is raft.FSM's Snapshot. It copies nothing.
func (s *Store) Snapshot() (raft.FSMSnapshot, error) {
	if err := s.Fault(); err != nil {
		return nil, err
	}
	return here{}, nil
}

// here is the snapshot that is already where it should be.
type here struct{}

// Persist tells the sink that nothing will come. Raft closes it next (raft,
// takeSnapshot).
func (here) Persist(to raft.SnapshotSink) error {
	own, ok := to.(*sink)
	if !ok {
		return fmt.Errorf("persist a snapshot: %T is not the store's sink", to)
	}
	own.local = true
	return nil
}

// Release has nothing to release.
func (here) Release() {}

// witness raises what the records know of themselves to what Raft says of them:
// entries that are none of the store's business, such as no-ops, count too, and
// may be gone from the log next.
func (s *Store) witness(meta raft.SnapshotMeta) error {
	to := position{index: meta.Index, term: meta.Term}
	err := s.vault.update(func(tx *bolt.Tx) error { return witnessIn(tx, meta) })
	if err != nil {
		return fmt.Errorf("note snapshot at %d: %w", meta.Index, err)
	}
	s.progress.advance(to)
	return nil
}

func witnessIn(tx *bolt.Tx, meta raft.SnapshotMeta) error {
	encoded := raft.EncodeConfiguration(meta.Configuration)
	if err := putConfiguration(tx, meta.ConfigurationIndex, encoded); err != nil {
		return err
	}
	if positionIn(tx).index >= meta.Index {
		return nil
	}
	return putPosition(tx, position{index: meta.Index, term: meta.Term})
}

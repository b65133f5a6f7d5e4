// Package store keeps everything one member remembers: the records and the
// commands that change them, the archives, Raft's log and its snapshots. It is
// all bbolt, below one data directory:
//
//	raft.db                                  Raft's log and stable store
//	state/CURRENT                            the name of the live generation
//	state/<generation>/records.db            the records, and how far they are applied
//	state/<generation>/archives/<digest>.db  one file per archive
//	state/spool-<id>.db                      an upload on its way
//
// The bytes of an archive are stored once: a chunk that comes with the log is
// put into its archive's own file, and the log keeps a stub of it. A snapshot
// copies nothing: the records are the snapshot, and know their own index.
//
// The package knows how commands change records. It must never know HTTP, who
// leads, which version may follow which, or what an archive holds.
package store

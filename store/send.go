package store

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

// outgoing is a snapshot being sent: read transactions on records and archives,
// which hold everything as it was while members go on writing.
type outgoing struct {
	header streamHeader
	txs    []*reader // in the order of the header's files

	pipe *io.PipeReader
	done chan struct{}
}

// send begins to stream the records and the archives that belong to them.
func (s *Store) send() (*raft.SnapshotMeta, io.ReadCloser, error) {
	o := &outgoing{done: make(chan struct{})}
	meta, err := s.load(o)
	if err != nil {
		o.end()
		return nil, nil, err
	}
	r, w := io.Pipe()
	o.pipe = r
	go func() {
		defer close(o.done)
		defer o.end()
		w.CloseWithError(pack(w, o.header, o.body))
	}()
	return meta, o, nil
}

// load begins the transactions. The records come first: whatever they speak of
// was in the archives by then.
func (s *Store) load(o *outgoing) (*raft.SnapshotMeta, error) {
	tx, err := s.vault.records()
	if err != nil {
		return nil, err
	}
	meta := metaIn(tx.Tx)
	o.header = streamHeader{Format: streamFormat, Index: meta.Index, Term: meta.Term}
	o.add(recordsFile, tx)
	digests, err := s.belonging(tx.Tx)
	if err != nil {
		return nil, err
	}
	for _, digest := range digests {
		tx, err := s.vault.archive(digest)
		if errors.Is(err, ErrNotFound) {
			continue // announced, and nothing of it has come yet
		}
		if err != nil {
			return nil, err
		}
		o.add(digest, tx)
	}
	meta.Size = o.header.size()
	return meta, nil
}

// belonging are the archives that go with the records: those that they speak
// of, and those that the log up to there refers to.
func (s *Store) belonging(tx *bolt.Tx) ([]string, error) {
	digests, err := s.log.stubs(positionIn(tx).index)
	if err != nil {
		return nil, err
	}
	known, err := knownArchives(tx)
	if err != nil {
		return nil, err
	}
	for _, digest := range known {
		digests[digest] = true
	}
	return slices.Sorted(maps.Keys(digests)), nil
}

func (o *outgoing) add(name string, tx *reader) {
	o.txs = append(o.txs, tx)
	o.header.Files = append(o.header.Files, streamFile{Name: name, Size: tx.Size()})
}

func (o *outgoing) body(w io.Writer) error {
	for _, tx := range o.txs {
		if _, err := tx.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

func (o *outgoing) end() {
	for _, tx := range o.txs {
		tx.end()
	}
}

// Read is the next of the stream.
func (o *outgoing) Read(p []byte) (int, error) { return o.pipe.Read(p) }

// Close ends the stream wherever it is, and its hold on the files.
func (o *outgoing) Close() error {
	err := o.pipe.Close()
	<-o.done
	return err
}

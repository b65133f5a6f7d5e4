package store

import (
	"bytes"
	"errors"
	"sync"
)

// OpStateDigest marks an index at which every member takes the digest of its
// records, so that members of different versions can be compared.
const OpStateDigest Op = "state.digest"

// StateDigest says nothing: where it stands in the log is all.
type StateDigest struct{}

func markerOps() map[Op]op {
	return map[Op]op{OpStateDigest: atLevel(1, func(entry, StateDigest) error { return nil }, StateDigest{})}
}

const (
	digestsKept   = 8
	digestsAtOnce = 2 // one more is not taken: whoever wants it marks again
)

// errDigestLate is of a digest that was not taken to its end.
var errDigestLate = errors.New("the store closes")

// digests are the records' digests at the last marks.
type digests struct {
	quit chan struct{} // closed when the store closes

	mu      sync.Mutex // held for what follows
	ended   bool
	running int
	known   map[uint64]string
	order   []uint64
}

func newDigests() *digests {
	return &digests{quit: make(chan struct{}), known: map[uint64]string{}}
}

// upToMark is how many entries go into one transaction: all of them, or those up
// to a mark, which ends it so that the records can be read as of its index.
func upToMark(entries []Entry) (n int, mark bool) {
	for i, e := range entries {
		if isMark(e) {
			return i + 1, true
		}
	}
	return len(entries), false
}

func isMark(e Entry) bool {
	if e.Config != nil || IsChunk(e.Data) || !bytes.Contains(e.Data, []byte(OpStateDigest)) {
		return false
	}
	c, err := decodeCommand(e.Data)
	return err == nil && c.Op == OpStateDigest
}

// takeDigest begins to digest the records as they are at index, beside whatever
// is applied after it. Called from Apply, the only one to change them.
func (s *Store) takeDigest(index uint64) {
	if !s.digests.begin() {
		return
	}
	tx, err := s.vault.records()
	if err != nil {
		s.digests.end(index, "")
		return
	}
	go func() {
		defer tx.end()
		sum, err := digestIn(tx.Tx, s.digests.quit)
		if err != nil {
			s.slog.Warn("digest the records", "index", index, "error", err)
			sum = ""
		}
		s.digests.end(index, sum)
	}()
}

func (d *digests) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended || d.running == digestsAtOnce {
		return false
	}
	d.running++
	return true
}

func (d *digests) end(index uint64, sum string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if _, again := d.known[index]; sum == "" || again {
		return
	}
	d.known[index] = sum
	d.order = append(d.order, index)
	if len(d.order) > digestsKept {
		delete(d.known, d.order[0])
		d.order = d.order[1:]
	}
}

// close has nothing new begin, and what is being read end at once.
func (d *digests) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended = true
		close(d.quit)
	}
}

// DigestAt is the digest of the records as they were at a mark, if it was taken
// here, is taken by now and is one of the last.
func (s *Store) DigestAt(index uint64) (digest string, known bool) {
	s.digests.mu.Lock()
	defer s.digests.mu.Unlock()
	digest, known = s.digests.known[index]
	return digest, known
}

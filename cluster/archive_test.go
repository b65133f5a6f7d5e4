package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const chunkSize = 512 << 10

// stage brings size random bytes onto all members through one of them, as the
// upgrader does: announced, then piece by piece.
func (h *harness) stage(through *member, size int) (model.Archive, []byte) {
	h.t.Helper()
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(content)
	digest := sha256.Sum256(content)
	a := model.Archive{Digest: hex.EncodeToString(digest[:]), Size: int64(size), Version: "1.1.0"}
	answer, err := through.node.Propose(h.ctx(), store.New(store.OpStageAnnounce,
		store.StageAnnounce{Staging: model.Staging{ID: "s", Archive: a}}))
	must(h.t, errors.Join(err, answer.Err()))
	g, ctx := errgroup.WithContext(h.ctx())
	g.SetLimit(8)
	for number := 0; number*chunkSize < size; number++ {
		g.Go(func() error {
			piece := content[number*chunkSize : min((number+1)*chunkSize, size)]
			return through.node.ProposeChunk(ctx, store.Chunk{Digest: digest, Number: uint32(number), Payload: piece})
		})
	}
	must(h.t, g.Wait())
	return a, content
}

func TestAJoinerAfterACompactedStagingGetsOneSnapshotAndNoChunk(t *testing.T) {
	h := newCluster(t, 2)
	a, content := h.stage(h.members[1], 64<<20)
	for _, m := range h.members {
		must(t, m.node.ReadIndex(h.ctx()))
		must(t, m.node.Compact(h.ctx(), 0))
		if found, err := m.store.Log().HasStub(a.Digest); found || err != nil {
			t.Errorf("%s: its log still refers to the archive (%v)", m.self.Name, err)
		}
	}
	joiner := h.join("n3")
	must(t, joiner.node.ReadIndex(h.ctx()))
	if got := h.log.count("member=n3", `msg="Installed remote snapshot"`); got != 1 {
		t.Errorf("%d snapshots were installed, want 1", got)
	}
	if chunks := chunksInLog(t, joiner.store); chunks > 0 {
		t.Errorf("%d chunks came by AppendEntries", chunks)
	}
	joiner.shouldHold(a, content)
}

// chunksInLog counts the chunks that the log was ever given and still has; the
// joiner's log is never compacted in these tests.
func chunksInLog(t *testing.T, s *store.Store) (chunks int) {
	t.Helper()
	first, err := s.Log().FirstIndex()
	must(t, err)
	last, err := s.Log().LastIndex()
	must(t, err)
	for i := first; i <= last; i++ {
		var l raft.Log
		must(t, s.Log().GetLog(i, &l))
		if l.Type == raft.LogCommand && store.IsChunk(l.Data) {
			chunks++
		}
	}
	return chunks
}

func (m *member) shouldHold(a model.Archive, content []byte) {
	m.t.Helper()
	archive, err := m.store.Archive(a.Digest)
	must(m.t, err)
	defer archive.Close()
	got := make([]byte, a.Size)
	if _, err := archive.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		m.t.Fatal(err)
	}
	if !bytes.Equal(got, content) {
		m.t.Errorf("%s holds other bytes", m.self.Name)
	}
}

func TestAStagingOutlivesAChangeOfLeader(t *testing.T) {
	h := newCluster(t, 3)
	moved := make(chan error, 1)
	go func() { moved <- h.members[2].node.HandOver(h.ctx(), "n3") }()
	a, content := h.stage(h.members[1], 8<<20)
	must(t, <-moved)
	for _, m := range h.members {
		must(t, m.node.ReadIndex(h.ctx()))
		m.shouldHold(a, content)
	}
}

func TestALeaderThatIsAskedForMoreThanTheLimitRefuses(t *testing.T) {
	h := newCluster(t, 2)
	err := h.members[1].node.calls.post(h.ctx(), h.members[0].self.ID, pathPropose, make([]byte, callLimit+1), nil)
	if model.KindOf(err) != model.TooLarge || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("got %v", err)
	}
}

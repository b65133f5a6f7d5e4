package store

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// ship is a store in a directory of its own, closed and checked when the test ends.
type ship struct {
	*Store
	t   testing.TB
	dir string
}

func newShip(t testing.TB) *ship {
	t.Helper()
	s := &ship{t: t, dir: t.TempDir()}
	s.reopen()
	t.Cleanup(func() {
		s.close()
		checkFiles(t, s.dir)
	})
	return s
}

func (s *ship) reopen() {
	s.t.Helper()
	s.close()
	opened, err := Open(s.dir, Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Store = opened
}

func (s *ship) close() {
	s.t.Helper()
	if s.Store == nil {
		return
	}
	if err := s.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

// checkFiles looks for pages that bbolt has lost or uses twice, and for
// half-written files.
func checkFiles(t testing.TB, dir string) {
	t.Helper()
	for _, path := range filesBelow(t, dir) {
		if strings.HasSuffix(path, tmpSuffix) {
			t.Errorf("%s is left over", path)
		}
		if strings.HasSuffix(path, fileSuffix) {
			checkBolt(t, filepath.Join(dir, path))
		}
	}
}

func checkBolt(t testing.TB, path string) {
	t.Helper()
	db, err := openBolt(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
}

func filesBelow(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// cargo is an archive's bytes, and the entries that bring it.
type cargo struct {
	bytes  []byte
	sum    [32]byte
	digest string
}

func newCargo(size int, seed uint64) cargo {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	sum := sha256.Sum256(b)
	return cargo{bytes: b, sum: sum, digest: hex.EncodeToString(sum[:])}
}

func (c cargo) chunks() []Chunk {
	var all []Chunk
	for rest := c.bytes; len(rest) > 0; {
		n := min(len(rest), ChunkSize)
		all = append(all, Chunk{Digest: c.sum, Number: uint32(len(all)), Payload: rest[:n]})
		rest = rest[n:]
	}
	return all
}

// logs are the entries of Raft's log from index on, one for each chunk.
func (c cargo) logs(index uint64) []*raft.Log {
	var all []*raft.Log
	for i, chunk := range c.chunks() {
		all = append(all, &raft.Log{Index: index + uint64(i), Term: 1, Type: raft.LogCommand, Data: EncodeChunk(chunk)})
	}
	return all
}

// announced is the command that makes the records speak of c.
func (c cargo) announced() Command {
	return New(OpStageAnnounce, StageAnnounce{Staging: model.Staging{
		ID: "s", Archive: model.Archive{Digest: c.digest, Size: int64(len(c.bytes))}}})
}

func dropped() Command { return New(OpStageDrop, StageRef{ID: "s"}) }

// commit puts entries into the log and applies them, as Raft would.
func (s *ship) commit(logs ...*raft.Log) []Answer {
	s.t.Helper()
	if err := s.Log().StoreLogs(logs); err != nil {
		s.t.Fatal(err)
	}
	var entries []Entry
	for _, l := range logs {
		switch l.Type {
		case raft.LogCommand:
			entries = append(entries, Entry{Index: l.Index, Term: l.Term, Data: l.Data})
		case raft.LogConfiguration:
			entries = append(entries, Entry{Index: l.Index, Term: l.Term, Config: l.Data})
		}
	}
	return s.Apply(entries)
}

// accepted is commit for entries that must be answered with yes.
func (s *ship) accepted(logs ...*raft.Log) {
	s.t.Helper()
	for _, a := range s.commit(logs...) {
		if a.Err() != nil {
			s.t.Fatalf("entry %d: %v", a.Index, a.Err())
		}
	}
}

func commandAt(index uint64, c Command) *raft.Log {
	return &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: c.Encode()}
}

func configAt(index uint64, servers ...string) *raft.Log {
	return &raft.Log{Index: index, Term: 1, Type: raft.LogConfiguration,
		Data: raft.EncodeConfiguration(configurationOf(servers...))}
}

func configurationOf(servers ...string) raft.Configuration {
	var c raft.Configuration
	for _, id := range servers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	return c
}

func profile(name string) Command {
	return New(OpProfileCreate, ProfileCreate{Profile: model.Profile{Name: name}})
}

func (s *ship) digest() string {
	s.t.Helper()
	d, err := s.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *ship) hasFile(path ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{s.dir}, path...)...))
	return err == nil
}

func (s *ship) live() string {
	s.t.Helper()
	name, err := s.vault.name()
	if err != nil {
		s.t.Fatal(err)
	}
	return name
}

func (s *ship) wantArchive(c cargo) {
	s.t.Helper()
	a, err := s.Archive(c.digest)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Close()
	size, err := a.Size()
	if err != nil || size != int64(len(c.bytes)) {
		s.t.Fatalf("archive of %d bytes, %v, want %d", size, err, len(c.bytes))
	}
	got := make([]byte, size)
	if _, err := a.ReadAt(got, 0); err != nil || sha256.Sum256(got) != c.sum {
		s.t.Fatalf("archive reads back other bytes, %v", err)
	}
}

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
)

func chunksIn(logs []*raft.Log) map[[32]byte][]Chunk {
	all := map[[32]byte][]Chunk{}
	for _, log := range logs {
		if c, ok := chunkOf(log); ok {
			all[c.Digest] = append(all[c.Digest], c)
		}
	}
	return all
}

func (l *Log) rehydrate(s *stub) ([]byte, error) {
	tx, err := l.vault.archive(hex.EncodeToString(s.digest[:]))
	if errors.Is(err, ErrNotFound) {
		return nil, raft.ErrLogNotFound
	}
	if err != nil {
		return nil, err
	}
	defer tx.end()
	held := payload(tx.Tx, s.number)
	if held == nil {
		return nil, raft.ErrLogNotFound
	}
	if len(held) != int(s.length) || sha256.Sum256(held) != s.sum {
		return nil, fmt.Errorf("chunk %d of archive %x has changed since it came", s.number, s.digest)
	}
	return EncodeChunk(Chunk{Digest: s.digest, Number: s.number, Payload: held}), nil
}

// HasStub says whether the log still refers to an archive.
func (l *Log) HasStub(digest string) (bool, error) {
	found, err := l.stubs(math.MaxUint64)
	return found[digest], err
}

// stubs are the archives that entries up to an index refer to.
func (l *Log) stubs(through uint64) (map[string]bool, error) {
	found := map[string]bool{}
	err := l.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketLog).Cursor()
		for k, raw := c.First(); k != nil && indexOf(k) <= through; k, raw = c.Next() {
			if len(raw) > 1 && raw[1] == formPlain {
				continue
			}
			s, err := decodeEntry(raw, &raft.Log{})
			if err != nil {
				return fmt.Errorf("read log entry %d: %w", indexOf(k), err)
			}
			if s != nil {
				found[hex.EncodeToString(s.digest[:])] = true
			}
		}
		return nil
	})
	return found, err
}

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

// spoolBatch is how much of an upload is synced at a time, in bytes.
const spoolBatch = 16 * ChunkSize

// Spool takes an upload in, straight into the file that Keep makes the
// archive's own, so that the receiving member writes its bytes once. For one
// goroutine, except ReadAt after Finish.
type Spool struct {
	vault *vault
	shelf *shelf // nil for an upload that can't be resumed, and once it has left the shelf
	name  string // the digest that it is on the shelf by
	path  string

	mu      sync.Mutex // held for what follows: Close of the store suspends an upload under way
	db      *bolt.DB   // nil after Keep, Drop or Suspend
	hash    hash.Hash  // nil when part of it came in earlier: Finish reads it all then
	buf     []byte     // what is not in the file yet, beginning at a chunk's beginning
	written uint32     // chunks in the file
	digest  string     // after Finish
	err     error      // the first; the spool is good for nothing but Drop then
}

var (
	_ io.Writer   = (*Spool)(nil)
	_ io.ReaderAt = (*Spool)(nil)
)

// Spool begins an upload. It ends with Keep or Drop, or is removed at the next Open.
func (s *Store) Spool() (*Spool, error) {
	path := s.spoolPath()
	db, err := openOrCreate(path)
	if err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	return &Spool{vault: s.vault, path: path, db: db, hash: sha256.New(), buf: make([]byte, 0, spoolBatch)}, nil
}

func (s *Store) spoolPath() string { return filepath.Join(s.state, spoolPrefix+newID()+fileSuffix) }

// Write takes the next bytes. They are on disk after Finish or Suspend.
func (p *Spool) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(b) > 0 && p.err == nil {
		step := min(len(b), spoolBatch-len(p.buf))
		p.buf = append(p.buf, b[:step]...)
		n, b = n+step, b[step:]
		if len(p.buf) == spoolBatch {
			p.flush(len(p.buf))
		}
	}
	return n, p.err
}

// flush writes out the first size bytes of what has come, in chunks, and hashes them.
func (p *Spool) flush(size int) {
	out := p.buf[:size]
	if p.hash != nil {
		p.hash.Write(out)
	}
	var chunks []Chunk
	for rest := out; len(rest) > 0; {
		size := min(len(rest), ChunkSize)
		chunks = append(chunks, Chunk{Number: p.written + uint32(len(chunks)), Payload: rest[:size]})
		rest = rest[size:]
	}
	if err := putChunks(p.db, chunks); err != nil {
		p.err = fmt.Errorf("spool upload: %w", err)
	}
	p.written += uint32(len(chunks))
	p.buf = p.buf[:copy(p.buf, p.buf[size:])]
}

// Finish ends the upload: all of it is on disk, and ReadAt reads it. It answers
// the SHA-256 of the bytes in hex and how many they are. Write is over then.
func (p *Spool) Finish() (digest string, size int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && len(p.buf) > 0 {
		p.flush(len(p.buf))
	}
	if p.err != nil {
		return "", 0, p.err
	}
	p.buf, p.err = nil, errors.New("spool upload: it has ended")
	err = p.db.View(func(tx *bolt.Tx) error {
		size = chunksSize(tx)
		return nil
	})
	if err == nil && p.hash == nil {
		err = p.rehash(size)
	}
	if err != nil {
		return "", 0, fmt.Errorf("spool upload: %w", err)
	}
	p.digest = hex.EncodeToString(p.hash.Sum(nil))
	return p.digest, size, nil
}

// rehash reads back all that came in, at whatever time and from wherever.
func (p *Spool) rehash(size int64) error {
	sum := sha256.New()
	all := io.NewSectionReader(chunksOf{p.db}, 0, size)
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{all}, make([]byte, ChunkSize)); err != nil {
		return err
	}
	p.hash = sum
	return nil
}

// ReadAt reads what was uploaded, after Finish and before Keep.
func (p *Spool) ReadAt(b []byte, off int64) (n int, err error) {
	p.mu.Lock()
	db := p.db
	p.mu.Unlock()
	if db == nil {
		return 0, fmt.Errorf("read upload: %w", ErrClosed)
	}
	return chunksOf{db}.ReadAt(b, off)
}

// chunksOf reads the chunks in a file.
type chunksOf struct{ db *bolt.DB }

func (c chunksOf) ReadAt(b []byte, off int64) (n int, err error) {
	tx, err := c.db.Begin(false)
	if err != nil {
		return 0, fmt.Errorf("read upload: %w", err)
	}
	defer tx.Rollback()
	return readChunks(tx, b, off)
}

// Keep makes the upload, after Finish, this member's archive of its digest. If
// chunks of it have come through the log before, what they lack is added.
func (p *Spool) Keep() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.digest == "" || p.db == nil {
		return errors.New("keep upload: it has not ended, or is gone")
	}
	if p.shelf != nil {
		if err := p.db.Update(forgetPartial); err != nil {
			return fmt.Errorf("keep upload %s: %w", p.digest, err)
		}
	}
	placed := false
	err := p.leave(func() (err error) {
		if placed, err = p.vault.place(p.path, p.digest); err == nil && !placed {
			err = p.unname()
		}
		return err
	})
	if err == nil && !placed {
		err = p.merge()
	}
	if err != nil {
		return fmt.Errorf("keep upload %s: %w", p.digest, err)
	}
	return nil
}

// leave closes the file and then has its name changed or taken by then.
func (p *Spool) leave(then func() error) error {
	db, on := p.db, p.shelf
	p.db, p.shelf = nil, nil
	if on != nil {
		return on.remove(p.name, then)
	}
	return errors.Join(db.Close(), then())
}

// unname gives the file a name that is nobody's but this spool's.
func (p *Spool) unname() error {
	to := filepath.Join(filepath.Dir(p.path), spoolPrefix+newID()+fileSuffix)
	if err := durable.Rename(p.path, to); err != nil {
		return err
	}
	p.path = to
	return nil
}

// merge fills the archive that is there from the spool, and drops the spool.
func (p *Spool) merge() error {
	db, err := openBolt(p.path)
	if err != nil {
		return err
	}
	p.db = db
	for from := uint32(0); from < p.written; from += spoolBatch / ChunkSize {
		if err := p.copyChunks(from, min(from+spoolBatch/ChunkSize, p.written)); err != nil {
			return errors.Join(err, p.drop())
		}
	}
	return p.drop()
}

func (p *Spool) copyChunks(from, to uint32) error {
	return p.db.View(func(tx *bolt.Tx) error {
		var chunks []Chunk
		for number := from; number < to; number++ {
			c := Chunk{Number: number, Payload: payload(tx, number)}
			copy(c.Digest[:], p.hash.Sum(nil))
			chunks = append(chunks, c)
		}
		return p.vault.put(p.digest, chunks)
	})
}

// Drop removes the upload. May be called again, and after Keep or Suspend, where
// it has nothing left to remove.
func (p *Spool) Drop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drop()
}

func (p *Spool) drop() error {
	if p.db == nil {
		return nil
	}
	return p.leave(func() error { return os.Remove(p.path) })
}

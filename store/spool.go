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

	bolt "go.etcd.io/bbolt"
)

// spoolBatch is how much of an upload is synced at a time, in bytes.
const spoolBatch = 16 * ChunkSize

// Spool takes an upload in, straight into the file that Keep makes the
// archive's own, so that the receiving member writes its bytes once. For one
// goroutine, except ReadAt after Finish.
type Spool struct {
	vault *vault
	path  string
	db    *bolt.DB // nil after Keep or Drop

	hash    hash.Hash
	buf     []byte // what is not in the file yet, beginning at a chunk's beginning
	written uint32 // chunks in the file
	digest  string // after Finish
	err     error  // the first; the spool is good for nothing but Drop then
}

var (
	_ io.Writer   = (*Spool)(nil)
	_ io.ReaderAt = (*Spool)(nil)
)

// Spool begins an upload. It ends with Keep or Drop, or is removed at the next Open.
func (s *Store) Spool() (*Spool, error) {
	path := filepath.Join(s.state, spoolPrefix+newID()+fileSuffix)
	db, err := openOrCreate(path)
	if err != nil {
		return nil, fmt.Errorf("begin upload: %w", err)
	}
	return &Spool{vault: s.vault, path: path, db: db, hash: sha256.New(), buf: make([]byte, 0, spoolBatch)}, nil
}

// Write takes the next bytes. They are on disk after Finish.
func (p *Spool) Write(b []byte) (n int, err error) {
	for len(b) > 0 && p.err == nil {
		step := min(len(b), spoolBatch-len(p.buf))
		p.buf = append(p.buf, b[:step]...)
		n, b = n+step, b[step:]
		if len(p.buf) == spoolBatch {
			p.flush()
		}
	}
	return n, p.err
}

// flush writes out what has come, in chunks, and hashes it.
func (p *Spool) flush() {
	p.hash.Write(p.buf)
	var chunks []Chunk
	for rest := p.buf; len(rest) > 0; {
		size := min(len(rest), ChunkSize)
		chunks = append(chunks, Chunk{Number: p.written + uint32(len(chunks)), Payload: rest[:size]})
		rest = rest[size:]
	}
	if err := putChunks(p.db, chunks); err != nil {
		p.err = fmt.Errorf("spool upload: %w", err)
	}
	p.written += uint32(len(chunks))
	p.buf = p.buf[:0]
}

// Finish ends the upload: all of it is on disk, and ReadAt reads it. It answers
// the SHA-256 of the bytes in hex and how many they are. Write is over then.
func (p *Spool) Finish() (digest string, size int64, err error) {
	if p.err == nil && len(p.buf) > 0 {
		p.flush()
	}
	if p.err != nil {
		return "", 0, p.err
	}
	p.buf, p.err = nil, errors.New("spool upload: it has ended")
	p.digest = hex.EncodeToString(p.hash.Sum(nil))
	err = p.db.View(func(tx *bolt.Tx) error {
		size = chunksSize(tx)
		return nil
	})
	return p.digest, size, err
}

// ReadAt reads what was uploaded, after Finish and before Keep.
func (p *Spool) ReadAt(b []byte, off int64) (n int, err error) {
	tx, err := p.db.Begin(false)
	if err != nil {
		return 0, fmt.Errorf("read upload: %w", err)
	}
	defer tx.Rollback()
	return readChunks(tx, b, off)
}

// Keep makes the upload, after Finish, this member's archive of its digest. If
// chunks of it have come through the log before, what they lack is added.
func (p *Spool) Keep() error {
	if p.digest == "" || p.db == nil {
		return errors.New("keep upload: it has not ended, or is gone")
	}
	if err := p.close(); err != nil {
		return err
	}
	placed, err := p.vault.place(p.path, p.digest)
	if err == nil && !placed {
		err = p.merge()
	}
	if err != nil {
		return fmt.Errorf("keep upload %s: %w", p.digest, err)
	}
	return nil
}

func (p *Spool) close() error {
	db := p.db
	p.db = nil
	return db.Close()
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
			return errors.Join(err, p.Drop())
		}
	}
	return p.Drop()
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

// Drop removes the upload. May be called again, and after Keep, where it has
// nothing left to remove.
func (p *Spool) Drop() error {
	if p.db == nil {
		return nil
	}
	return errors.Join(p.close(), os.Remove(p.path))
}

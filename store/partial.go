package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A partial is what has come of an upload that can be resumed. It is named by
// the digest that its client says it will have; nobody has checked that yet.
// Its file holds whole chunks and, beside them, the beginning of the next one.

// ErrBusy is returned for a partial that is being added to already.
var ErrBusy = errors.New("it is being uploaded already")

var (
	bucketPartial = []byte("partial")
	keyTotal      = []byte("total") // 8 bytes, big-endian; 0: not known
	keyTail       = []byte("tail")  // the number of the chunk that it begins, 4 bytes, big-endian; then its bytes
)

// Partial says how far an upload has come.
type Partial struct {
	Digest  string    // as its client says
	Size    int64     // bytes on disk, from the beginning
	Total   int64     // as its client says; 0: not known
	Touched time.Time // when bytes came last
}

// Resume goes on with the upload of a digest, or begins it. ErrBusy when
// somebody else does. The spool ends with Keep, Drop or Suspend; whatever has
// been synced by then outlives the process that did none of them.
func (s *Store) Resume(digest string, total int64) (*Spool, error) {
	p, err := s.shelf.take(digest, total)
	if err != nil {
		return nil, fmt.Errorf("go on with upload %s: %w", digest, err)
	}
	p.vault = s.vault
	return p, nil
}

// Partial says how far the upload of a digest has come here; ErrNotFound when
// there is nothing of it.
func (s *Store) Partial(digest string) (p Partial, err error) {
	err = s.shelf.view(digest, func(tx *bolt.Tx) error {
		p = Partial{Digest: digest, Size: partialSize(tx), Total: partialTotal(tx)}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("look at upload %s: %w", digest, err)
	}
	info, err := os.Stat(s.shelf.path(digest))
	if err != nil {
		return p, fmt.Errorf("look at upload %s: %w", digest, err)
	}
	p.Touched = info.ModTime()
	return p, nil
}

// Partials are the digests of all uploads that can be resumed here, those that
// bytes came of longest ago first, with nothing but digest and time.
func (s *Store) Partials() ([]Partial, error) {
	all, err := s.shelf.list()
	if err != nil {
		return nil, fmt.Errorf("list the uploads: %w", err)
	}
	return all, nil
}

// ReadPartial reads what has come of an upload, also while more comes.
func (s *Store) ReadPartial(digest string, b []byte, off int64) (n int, err error) {
	err = s.shelf.view(digest, func(tx *bolt.Tx) error {
		n, err = readPartial(tx, b, off)
		return err
	})
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read upload %s: %w", digest, err)
	}
	return n, err
}

// DropPartial removes what has come of an upload. One that is not here is
// dropped already; ErrBusy while it is being added to.
func (s *Store) DropPartial(digest string) error {
	if err := s.shelf.drop(digest); err != nil {
		return fmt.Errorf("drop upload %s: %w", digest, err)
	}
	return nil
}

// Size is how many bytes have come, from the beginning.
func (p *Spool) Size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.written)*ChunkSize + int64(len(p.buf))
}

// Suspend puts all that has come on disk, for Resume. May be called again, and
// after Keep or Drop, where it does nothing.
func (p *Spool) Suspend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil || p.shelf == nil {
		return nil
	}
	if p.err == nil {
		p.flush(len(p.buf) / ChunkSize * ChunkSize)
	}
	err := p.err
	if p.digest != "" {
		err = nil // it has ended, and is on disk
	}
	if err == nil && len(p.buf) > 0 {
		err = p.db.Update(func(tx *bolt.Tx) error { return putTail(tx, p.written, p.buf) })
	}
	on := p.shelf
	p.db, p.shelf, p.err = nil, nil, errors.Join(p.err, errors.New("spool upload: it was put aside"))
	on.putBack(p.name)
	if err != nil {
		return fmt.Errorf("put upload %s aside: %w", p.name, err)
	}
	return nil
}

func putTail(tx *bolt.Tx, number uint32, bytes []byte) error {
	return tx.Bucket(bucketPartial).Put(keyTail, append(chunkKey(number), bytes...))
}

// tail is the beginning of the chunk after those that are whole, good until tx ends.
func tail(tx *bolt.Tx) []byte {
	about := tx.Bucket(bucketPartial)
	if about == nil {
		return nil
	}
	raw := about.Get(keyTail)
	if len(raw) < 4 || int64(binary.BigEndian.Uint32(raw))*ChunkSize != chunksSize(tx) {
		return nil // the chunk has come since
	}
	return raw[4:]
}

func partialSize(tx *bolt.Tx) int64 { return chunksSize(tx) + int64(len(tail(tx))) }

func partialTotal(tx *bolt.Tx) int64 {
	about := tx.Bucket(bucketPartial)
	if about == nil {
		return 0
	}
	raw := about.Get(keyTotal)
	if len(raw) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}

func readPartial(tx *bolt.Tx, b []byte, off int64) (n int, err error) {
	size := chunksSize(tx)
	if off < size {
		n, err = readChunks(tx, b, off)
		if n == len(b) || err != io.EOF {
			return n, err
		}
	}
	at := off + int64(n) - size
	rest := tail(tx)
	if at > int64(len(rest)) {
		return n, io.EOF
	}
	n += copy(b[n:], rest[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// begin readies a partial's file for more: a last chunk that is not whole, left
// by an upload that had all its bytes, becomes the tail again.
func begin(tx *bolt.Tx, total int64) error {
	about, err := tx.CreateBucketIfNotExists(bucketPartial)
	if err != nil {
		return err
	}
	if about.Get(keyTotal) == nil || total > 0 {
		if err := about.Put(keyTotal, binary.BigEndian.AppendUint64(nil, uint64(total))); err != nil {
			return err
		}
	}
	size := chunksSize(tx)
	if size%ChunkSize == 0 {
		return nil
	}
	number := uint32(size / ChunkSize)
	last := append([]byte(nil), payload(tx, number)...)
	if err := tx.Bucket(bucketChunks).DeleteBucket(chunkKey(number)); err != nil {
		return err
	}
	return putTail(tx, number, last)
}

// forgetPartial takes out of a file what an archive does not have.
func forgetPartial(tx *bolt.Tx) error {
	if tx.Bucket(bucketPartial) == nil {
		return nil
	}
	return tx.DeleteBucket(bucketPartial)
}

// partialNamed is the digest that the name of a partial's file says.
func partialNamed(path string) (digest string, ok bool) {
	digest, prefixed := strings.CutPrefix(filepath.Base(path), partialPrefix)
	digest, suffixed := strings.CutSuffix(digest, fileSuffix)
	return digest, prefixed && suffixed && validDigest(digest)
}

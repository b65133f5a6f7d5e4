package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
)

// ChunkSize is the size of every chunk of an archive but the last, in bytes.
const ChunkSize = 512 << 10

// A chunk has a sub-bucket of its own. bbolt does not split a leaf of four keys
// or fewer (node.go, MinKeysPerPage), so that payloads side by side in one leaf
// would all be written again for each one added.
var (
	bucketChunks = []byte("chunks")
	keyPayload   = []byte("payload")
)

// Archive reads the bytes that a member holds of one archive. Safe for
// concurrent use; it stays good when a snapshot takes the place of the files.
type Archive struct {
	vault  *vault
	digest string
}

var _ io.ReaderAt = (*Archive)(nil)

// Archive gives access to an archive by its digest in hex; ErrNotFound when
// this member holds nothing of it.
func (s *Store) Archive(digest string) (*Archive, error) {
	a := &Archive{vault: s.vault, digest: digest}
	tx, err := a.begin()
	if err != nil {
		return nil, err
	}
	tx.end()
	return a, nil
}

func (a *Archive) begin() (*reader, error) {
	tx, err := a.vault.archive(a.digest)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", a.digest, err)
	}
	return tx, nil
}

// ReadAt reads what is there; a chunk that has not come yet is an error.
func (a *Archive) ReadAt(p []byte, off int64) (int, error) {
	tx, err := a.begin()
	if err != nil {
		return 0, err
	}
	defer tx.end()
	n, err := readChunks(tx.Tx, p, off)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read archive %s: %w", a.digest, err)
	}
	return n, err
}

// Size counts up to the last chunk that is there, in bytes.
func (a *Archive) Size() (int64, error) {
	tx, err := a.begin()
	if err != nil {
		return 0, err
	}
	defer tx.end()
	return chunksSize(tx.Tx), nil
}

// Close ends the use of a. The file is the store's and stays open: others may
// be reading it.
func (a *Archive) Close() error { return nil }

// putChunks adds chunks to an archive's file, durably. A chunk that is there
// already costs nothing; other bytes in its place are refused.
func putChunks(db *bolt.DB, chunks []Chunk) error {
	known := false
	err := db.View(func(tx *bolt.Tx) error {
		known = hasChunks(tx, chunks)
		return nil
	})
	if err != nil || known {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, c := range chunks {
			if err := putChunk(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func hasChunks(tx *bolt.Tx, chunks []Chunk) bool {
	for _, c := range chunks {
		if !bytes.Equal(payload(tx, c.Number), c.Payload) {
			return false
		}
	}
	return true
}

func putChunk(tx *bolt.Tx, c Chunk) error {
	if there := payload(tx, c.Number); there != nil {
		if !bytes.Equal(there, c.Payload) {
			return fmt.Errorf("chunk %d of archive %x is there with other bytes", c.Number, c.Digest)
		}
		return nil
	}
	all, err := tx.CreateBucketIfNotExists(bucketChunks)
	if err != nil {
		return err
	}
	all.FillPercent = 1 // chunks come in order
	own, err := all.CreateBucket(chunkKey(c.Number))
	if err != nil {
		return err
	}
	return own.Put(keyPayload, c.Payload)
}

func chunkKey(number uint32) []byte { return binary.BigEndian.AppendUint32(nil, number) }

// payload is a chunk's bytes, good until tx ends, or nil.
func payload(tx *bolt.Tx, number uint32) []byte {
	all := tx.Bucket(bucketChunks)
	if all == nil {
		return nil
	}
	own := all.Bucket(chunkKey(number))
	if own == nil {
		return nil
	}
	return own.Get(keyPayload)
}

func chunksSize(tx *bolt.Tx) int64 {
	all := tx.Bucket(bucketChunks)
	if all == nil {
		return 0
	}
	last, _ := all.Cursor().Last()
	if last == nil {
		return 0
	}
	number := binary.BigEndian.Uint32(last)
	return int64(number)*ChunkSize + int64(len(payload(tx, number)))
}

func readChunks(tx *bolt.Tx, p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, os.ErrInvalid
	}
	size := chunksSize(tx)
	for n < len(p) && off < size {
		number := off / ChunkSize
		chunk := payload(tx, uint32(number))
		if chunk == nil || len(chunk) < ChunkSize && (number+1)*ChunkSize < size {
			return n, fmt.Errorf("chunk %d is not here", number)
		}
		step := copy(p[n:], chunk[off%ChunkSize:])
		n += step
		off += int64(step)
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// validDigest keeps anything but 64 lower-case hex digits out of file names.
func validDigest(digest string) bool {
	raw, err := hex.DecodeString(digest)
	return err == nil && len(raw) == 32 && hex.EncodeToString(raw) == digest
}

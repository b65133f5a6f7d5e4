package store

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// One entry of Raft's log on disk, all numbers big-endian:
//
//	version 1 | form 1 | index 8 | term 8 | type 1 | seconds 8 | nanoseconds 4 |
//	length 4, extensions | length 4, data
//
// The form says what data is: the entry's own, or a stub of a chunk whose
// payload lies in its archive's file. The time is raft.Log.AppendedAt.
const (
	entryVersion = 1
	entryHeader  = 1 + 1 + 8 + 8 + 1 + 8 + 4

	formPlain = 0
	formStub  = 1
)

var errEntry = errors.New("not an entry of the log")

// stub stands for a chunk's payload: number, length and sum must fit what the
// archive's file holds.
type stub struct {
	digest [32]byte // of the archive
	number uint32
	length uint32
	sum    [32]byte // SHA-256 of the payload
}

const stubSize = 32 + 4 + 4 + 32

// chunkOf is the chunk that an entry carries, if it carries one that belongs
// into an archive. What is no proper chunk stays in the log as it is.
func chunkOf(l *raft.Log) (Chunk, bool) {
	if l.Type != raft.LogCommand || !IsChunk(l.Data) {
		return Chunk{}, false
	}
	c, err := properChunk(l.Data)
	return c, err == nil
}

func properChunk(data []byte) (Chunk, error) {
	c, err := DecodeChunk(data)
	if err == nil && len(c.Payload) > ChunkSize {
		err = fmt.Errorf("read chunk %d: its %d bytes are more than %d", c.Number, len(c.Payload), ChunkSize)
	}
	return c, err
}

// encodeEntry is the form on disk: with a stub when the entry carries a chunk.
func encodeEntry(l *raft.Log) []byte {
	if c, ok := chunkOf(l); ok {
		return appendEntry(l, formStub, appendStub(nil, c))
	}
	return appendEntry(l, formPlain, l.Data)
}

func appendEntry(l *raft.Log, form byte, data []byte) []byte {
	b := make([]byte, 0, entryHeader+8+len(l.Extensions)+len(data))
	b = append(b, entryVersion, form)
	b = binary.BigEndian.AppendUint64(b, l.Index)
	b = binary.BigEndian.AppendUint64(b, l.Term)
	b = append(b, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, uint64(l.AppendedAt.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(l.AppendedAt.Nanosecond()))
	return appendSized(appendSized(b, l.Extensions), data)
}

func appendSized(b, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
}

func appendStub(b []byte, c Chunk) []byte {
	sum := sha256.Sum256(c.Payload)
	b = append(b, c.Digest[:]...)
	b = binary.BigEndian.AppendUint32(b, c.Number)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Payload)))
	return append(b, sum[:]...)
}

// decodeEntry reads what encodeEntry wrote. The stub is nil for an entry with
// data of its own; otherwise l.Data is still to be filled. Nothing in l shares
// raw's memory.
func decodeEntry(raw []byte, l *raft.Log) (*stub, error) {
	if len(raw) < entryHeader {
		return nil, fmt.Errorf("%w: %d bytes are too few", errEntry, len(raw))
	}
	if raw[0] != entryVersion {
		return nil, fmt.Errorf("%w: this version does not know its version %d", errEntry, raw[0])
	}
	extensions, rest, err := cutSized(raw[entryHeader:])
	if err != nil {
		return nil, err
	}
	data, rest, err := cutSized(rest)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes more than it says", errEntry, len(rest))
	}
	decodeHeader(raw, l)
	l.Extensions = clone(extensions)
	return decodeData(raw[1], data, l)
}

func decodeHeader(raw []byte, l *raft.Log) {
	*l = raft.Log{
		Index: binary.BigEndian.Uint64(raw[2:]),
		Term:  binary.BigEndian.Uint64(raw[10:]),
		Type:  raft.LogType(raw[18]),
		AppendedAt: time.Unix(int64(binary.BigEndian.Uint64(raw[19:])),
			int64(binary.BigEndian.Uint32(raw[27:]))).UTC(),
	}
}

func decodeData(form byte, data []byte, l *raft.Log) (*stub, error) {
	switch form {
	case formPlain:
		l.Data = clone(data)
		return nil, nil
	case formStub:
		return decodeStub(data)
	}
	return nil, fmt.Errorf("%w: this version does not know its form %d", errEntry, form)
}

func decodeStub(data []byte) (*stub, error) {
	if len(data) != stubSize {
		return nil, fmt.Errorf("%w: a stub of %d bytes", errEntry, len(data))
	}
	s := &stub{number: binary.BigEndian.Uint32(data[32:]), length: binary.BigEndian.Uint32(data[36:])}
	copy(s.digest[:], data)
	copy(s.sum[:], data[40:])
	return s, nil
}

func cutSized(b []byte) (data, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: it ends in a length", errEntry)
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%w: it ends %d bytes early", errEntry, uint64(n)-uint64(len(b)))
	}
	return b[:n], b[n:], nil
}

// clone copies, and keeps nothing nil, as Raft's own entries have it.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

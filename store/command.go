package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Op names a type of command. The names are on disk: they are only ever added.
type Op string

// Command is one fact for the log. Its shape is frozen: a new field is a new
// Op, because a member that does not know the field would drop it unseen.
type Command struct {
	Op   Op              `json:"op"`
	ID   string          `json:"id"` // request id: a command that was applied once is answered, not applied again
	At   string          `json:"at"` // the proposer's wall clock, RFC 3339, as text for people
	Body json.RawMessage `json:"body"`
}

// New makes a command with a request id of its own. The caller keeps the value
// and proposes the same one again when it does not know what became of it.
func New(op Op, body any) Command {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("command %s: its body has no JSON: %v", op, err)) // bodies are our own structs
	}
	return Command{Op: op, ID: newID(), At: time.Now().UTC().Format(time.RFC3339Nano), Body: raw}
}

func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}

// Encode is the entry in the log.
func (c Command) Encode() []byte {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("command %s: %v", c.Op, err))
	}
	return raw
}

// decodeCommand reads an entry strictly: what it does not know it does not guess.
func decodeCommand(data []byte) (Command, error) {
	var c Command
	if err := strict(data, &c); err != nil {
		return c, fmt.Errorf("read command: %w", err)
	}
	return c, nil
}

// strict decodes one JSON value and refuses unknown fields and trailing bytes.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber() // a parameter's number comes out as it went in
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more bytes after the value")
	}
	return nil
}

// Chunk is a piece of an archive on its way through the log.
type Chunk struct {
	Digest  [32]byte // of the whole archive
	Number  uint32
	Payload []byte
}

const (
	chunkMark   = 0x01 // the first byte of a chunk; that of a command is '{'
	chunkHeader = 1 + 32 + 4
)

// EncodeChunk is the entry in the log: mark, digest, number, payload.
func EncodeChunk(c Chunk) []byte {
	b := make([]byte, chunkHeader, chunkHeader+len(c.Payload))
	b[0] = chunkMark
	copy(b[1:], c.Digest[:])
	binary.BigEndian.PutUint32(b[33:], c.Number)
	return append(b, c.Payload...)
}

// IsChunk says whether an entry of the log is a chunk.
func IsChunk(data []byte) bool { return len(data) > 0 && data[0] == chunkMark }

// DecodeChunk reads what EncodeChunk wrote; the payload shares data's memory.
func DecodeChunk(data []byte) (Chunk, error) {
	var c Chunk
	if len(data) <= chunkHeader || data[0] != chunkMark {
		return c, fmt.Errorf("read chunk: %d bytes are no chunk", len(data))
	}
	copy(c.Digest[:], data[1:])
	c.Number = binary.BigEndian.Uint32(data[33:])
	c.Payload = data[chunkHeader:]
	return c, nil
}

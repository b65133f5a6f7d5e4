package cluster

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/internal/durable"
)

const identityFile = "member.json"

// Identity says who a data directory is: the member, and which incarnation of
// its data. A restore gives it a new incarnation.
type Identity struct {
	ID          string `json:"id"`
	Incarnation string `json:"incarnation"`
}

// LoadIdentity reads the identity of a data directory, and makes one at the
// first start. It may be called again.
func LoadIdentity(dataDir string) (Identity, error) {
	path := filepath.Join(dataDir, identityFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newIdentity(path)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the member's identity: %w", err)
	}
	var id Identity
	if err := strict(raw, &id); err != nil {
		return Identity{}, fmt.Errorf("read the member's identity %s: %w", path, err)
	}
	if id.ID == "" || id.Incarnation == "" {
		return Identity{}, fmt.Errorf("read the member's identity %s: id or incarnation is missing", path)
	}
	return id, nil
}

func newIdentity(path string) (Identity, error) {
	id := Identity{ID: NewUUID(), Incarnation: NewUUID()}
	raw, err := json.Marshal(id)
	if err != nil {
		return Identity{}, err
	}
	return id, durable.WriteBytes(path, 0o644, append(raw, '\n'))
}

// NewUUID is a random UUID (RFC 9562, version 4).
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// strict decodes one JSON value and refuses what it does not know.
func strict(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more bytes after the value")
	}
	return nil
}

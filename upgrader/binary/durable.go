package binary

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/internal/durable"
)

// recordVersion is of everything written beside the executable.
const recordVersion = 1

// write puts record into the file beside the executable, so that a reader finds
// the old file or the new one and never a part. Only the owner may read it.
func (o *Own) write(what string, record any) error {
	raw, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", o.beside(what), err)
	}
	tmp, err := o.temp(append(raw, '\n'))
	if err != nil {
		return fmt.Errorf("write %s: %w", o.beside(what), err)
	}
	if err := os.Rename(tmp, o.beside(what)); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", o.beside(what), err)
	}
	return durable.SyncDir(o.dir())
}

// temp is a synced file with these bytes in the directory of the executable.
func (o *Own) temp(raw []byte) (path string, err error) {
	f, err := os.CreateTemp(o.dir(), filepath.Base(o.beside("part-*")))
	if err != nil {
		return "", err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// read fills record from the file beside the executable; found is false when
// there is none. Another version, an unknown field or a tail is an error: what
// cannot be read whole is not acted upon.
func (o *Own) read(what string, record any) (found bool, err error) {
	raw, err := os.ReadFile(o.beside(what))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = decode(raw, recordVersion, record)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", o.beside(what), err)
	}
	return true, nil
}

func decode(raw []byte, version int, record any) error {
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return err
	}
	if head.V != version {
		return fmt.Errorf("it has version %d, this program reads version %d", head.V, version)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(record); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the record")
	}
	return nil
}

func (o *Own) drop(what string) error {
	err := os.Remove(o.beside(what))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", o.beside(what), err)
	}
	return durable.SyncDir(o.dir())
}

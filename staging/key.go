package staging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"aead.dev/minisign"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// Key is a private key that signs packages.
type Key struct{ private minisign.PrivateKey }

// Public is the public key as one word, as --trusted-key takes it.
func (k Key) Public() string { return k.private.Public().(minisign.PublicKey).String() }

// ID is the key's id as the minisign tool prints it.
func (k Key) ID() string { return keyID(k.private.ID()) }

// sign signs message by its hash, as the minisign tool does unless told otherwise.
// The comment is signed too. Equal input makes equal output.
func (k Key) sign(message []byte, comment string) []byte {
	r := minisign.NewReader(bytes.NewReader(message))
	if _, err := io.Copy(io.Discard, r); err != nil {
		panic("reading from memory: " + err.Error()) // it cannot fail
	}
	return r.SignWithComments(k.private, comment, "signature from theseus key "+k.ID())
}

// Keygen makes a key pair in minisign's format: the private key in path, for its
// owner only, and the public one in path.pub. Without a passphrase the private
// key is not encrypted. Files that are there are not overwritten.
func Keygen(path, passphrase string) error {
	for _, p := range []string{path, path + ".pub"} {
		if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
			return model.Problemf(model.Conflict, "make a key: %s is there already: choose another name, or move it away", p)
		}
	}
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	secret, err := marshalKey(private, passphrase)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	shown, err := public.MarshalText()
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	if err := durable.Write(path, 0o600, exactly(append(secret, '\n'))); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	if err := durable.Write(path+".pub", 0o644, exactly(append(shown, '\n'))); err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	return nil
}

func marshalKey(private minisign.PrivateKey, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return private.MarshalText()
	}
	return minisign.EncryptKey(passphrase, private)
}

// LoadKey reads a private key; the passphrase is not used if it is not encrypted.
func LoadKey(path, passphrase string) (Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("read the key: %w", err)
	}
	var k Key
	if !minisign.IsEncrypted(text) {
		if err := k.private.UnmarshalText(text); err != nil {
			return Key{}, model.Problemf(model.Malformed, "read the key: %s is no private key of minisign (%v): make one with `theseus package keygen --key FILE`", path, err)
		}
		return k, nil
	}
	if passphrase == "" {
		return Key{}, model.Problemf(model.Refused, "read the key: %s is encrypted: give its passphrase with --passphrase-file", path)
	}
	if k.private, err = minisign.DecryptKey(passphrase, text); err != nil {
		return Key{}, model.Problemf(model.Refused, "read the key: the passphrase does not open %s: give the one it was made with", path)
	}
	return k, nil
}

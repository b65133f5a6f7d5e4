package staging

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"aead.dev/minisign"

	"github.com/theseusd/theseus/model"
)

// Trust says whose packages are taken. Zero takes none.
type Trust struct {
	keys []minisign.PublicKey

	// AllowUnsigned takes packages without a signature and packages signed by a
	// key that is not known. A signature that is wrong is refused all the same.
	AllowUnsigned bool
}

// LoadTrust reads public keys in minisign's format, each given as the key itself
// or as a file of one or more keys with their comments.
func LoadTrust(keys []string, allowUnsigned bool) (Trust, error) {
	t := Trust{AllowUnsigned: allowUnsigned}
	for _, given := range keys {
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(given)); err == nil {
			t.keys = append(t.keys, key)
			continue
		}
		found, err := keysOf(given)
		if err != nil {
			return Trust{}, err
		}
		t.keys = append(t.keys, found...)
	}
	return t, nil
}

func keysOf(path string) ([]minisign.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read trusted key: %q is neither a public key of minisign nor a file with one: %w", path, err)
	}
	var keys []minisign.PublicKey
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "untrusted comment:") {
			continue
		}
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(line)); err != nil {
			return nil, model.Problemf(model.Malformed, "read trusted key: %s, line %d: %v; give the .pub file that `theseus package keygen` or minisign -G wrote", path, i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, model.Problemf(model.Malformed, "read trusted key: %s holds no key; give the .pub file that `theseus package keygen` or minisign -G wrote", path)
	}
	return keys, nil
}

// signature is what is known of who signed.
type signature struct {
	signer  string // id of the key, "" if there is no signature
	trusted bool
	comment string // the signed comment, if trusted
}

// unsigned judges a package without a signature.
func (t Trust) unsigned() (signature, error) {
	if t.AllowUnsigned {
		return signature{}, nil
	}
	return signature{}, refused("it is not signed (no %s): sign it with `theseus package sign`, or start theseusd with --allow-unsigned", signatureName)
}

// judge checks text, a signature over message.
func (t Trust) judge(message, text []byte) (signature, error) {
	by, err := t.verify(message, text)
	switch {
	case errors.Is(err, errUnreadable):
		return signature{}, refused("%s %v: sign it again with `theseus package sign`", signatureName, err)
	case errors.Is(err, errMisfit):
		return signature{}, refused("the signature of key %s does not fit %s: the package was changed after it was signed; get it again from its builder", by.signer, sumsName)
	case !by.trusted && !t.AllowUnsigned:
		return signature{}, refused("it is signed by key %s, which is not trusted here: start theseusd with --trusted-key and its public key if it should be, or with --allow-unsigned", by.signer)
	}
	return by, nil
}

var (
	errUnreadable = errors.New("cannot be read")
	errMisfit     = errors.New("does not fit")
)

// verify says who signed message, and whether a trusted key did. A key that is
// trusted and whose signature does not fit is errMisfit.
func (t Trust) verify(message, text []byte) (by signature, err error) {
	var s minisign.Signature
	if err := s.UnmarshalText(text); err != nil {
		return by, fmt.Errorf("%w (%w)", errUnreadable, err)
	}
	by.signer = keyID(s.KeyID)
	for _, key := range t.keys {
		if key.ID() != s.KeyID {
			continue
		}
		if minisign.Verify(key, message, text) {
			by.trusted, by.comment = true, s.TrustedComment
			return by, nil
		}
		err = errMisfit
	}
	return by, err
}

// keyID is a key's id as the minisign tool prints it.
func keyID(id uint64) string { return fmt.Sprintf("%X", id) }

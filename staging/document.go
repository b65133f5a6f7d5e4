package staging

import (
	"aead.dev/minisign"

	"github.com/theseusd/theseus/model"
)

// SignDocument is a signature over a text that is no package, such as the index
// of a catalog, in minisign's format. The comment is signed too.
func (k Key) SignDocument(text []byte, comment string) []byte { return k.sign(text, comment) }

// JudgeDocument holds the document called name, such a text, to its signature; a
// nil one means that it has none. It answers the id of the key that signed, "" if
// none did.
func (t Trust) JudgeDocument(name string, text, sig []byte) (signer string, err error) {
	if sig == nil {
		if t.AllowUnsigned {
			return "", nil
		}
		return "", model.Problemf(model.Refused, "%s is not signed (no %s.minisig): have it signed by a key that you trust, or allow unsigned ones", name, name)
	}
	var s minisign.Signature
	if err := s.UnmarshalText(sig); err != nil {
		return "", model.Problemf(model.Refused, "%s.minisig cannot be read (%v): have %s signed again", name, err, name)
	}
	signer = keyID(s.KeyID)
	known := false
	for _, key := range t.keys {
		if key.ID() != s.KeyID {
			continue
		}
		if minisign.Verify(key, text, sig) {
			return signer, nil
		}
		known = true
	}
	switch {
	case known:
		return "", model.Problemf(model.Refused, "the signature of key %s does not fit %s: it was changed after it was signed, or is being replaced right now; try again, and ask who keeps it if it stays so", signer, name)
	case !t.AllowUnsigned:
		return "", model.Problemf(model.Refused, "%s is signed by key %s, which is not trusted here: name its public key as a trusted one if it should be", name, signer)
	}
	return signer, nil
}

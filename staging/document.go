package staging

import (
	"errors"

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
	by, err := t.verify(text, sig)
	switch {
	case errors.Is(err, errUnreadable):
		return "", model.Problemf(model.Refused, "%s.minisig %v: have %s signed again", name, err, name)
	case errors.Is(err, errMisfit):
		return "", model.Problemf(model.Refused, "the signature of key %s does not fit %s: it was changed after it was signed, or is being replaced right now; try again, and ask who keeps it if it stays so", by.signer, name)
	case !by.trusted && !t.AllowUnsigned:
		return "", model.Problemf(model.Refused, "%s is signed by key %s, which is not trusted here: name its public key as a trusted one if it should be", name, by.signer)
	}
	return by.signer, nil
}

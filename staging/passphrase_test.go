//go:build !race

package staging

import (
	"path/filepath"
	"testing"

	"github.com/theseusd/theseus/model"
)

// minisign's way from passphrase to key takes 1 GiB of memory by intent. The race
// detector keeps a multiple of that, and has nothing to find in it.
func TestAKeyMadeWithAPassphraseIsEncrypted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "release.key")
	if err := Keygen(path, toolSecret); err != nil {
		t.Fatal(err)
	}
	_, err := LoadKey(path, "")
	checkProblem(t, err, model.Refused, path, "--passphrase-file")
}

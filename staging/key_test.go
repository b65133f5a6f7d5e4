package staging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// testdata was made with minisign 0.11: a key pair (-G -W) and signatures over
// message, also in the legacy form (-l). locked.key is the same key under a
// passphrase, with the least work that the format allows, so that reading it
// takes no seconds; the tool reads it too.
const (
	toolKey    = "RWSOEjQyfXejCLYNRgcCuKcKNvtdNeHp20/ZH299iOY1nDpizEH3O/nz"
	toolSecret = "a passphrase"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSignaturesOfTheMinisignToolAreTaken(t *testing.T) {
	trust, err := LoadTrust([]string{"testdata/tool.pub"}, false)
	if err != nil {
		t.Fatal(err)
	}
	message := read(t, "testdata/message")
	for _, name := range []string{"message.minisig", "message.legacy.minisig"} {
		got, err := trust.judge(message, read(t, "testdata/"+name))
		if err != nil || !got.trusted {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		_, err = trust.judge(append(message, 'x'), read(t, "testdata/"+name))
		checkProblem(t, err, model.Refused, "does not fit")
	}
}

func TestKeysOfTheMinisignToolSignTheSameBytes(t *testing.T) {
	message := read(t, "testdata/message")
	key, err := LoadKey("testdata/tool.key", "")
	if err != nil {
		t.Fatal(err)
	}
	if key.Public() != toolKey {
		t.Errorf("the public key is %s, the tool printed %s", key.Public(), toolKey)
	}
	ours, tools := lines(key.sign(message, "theseus 1.1.0")), lines(read(t, "testdata/message.minisig"))
	for i := 1; i < len(tools); i++ { // the first line is an untrusted comment
		if ours[i] != tools[i] {
			t.Errorf("line %d: %q, the tool wrote %q", i+1, ours[i], tools[i])
		}
	}
}

func lines(text []byte) []string { return strings.Split(string(text), "\n") }

func TestAKeyPairIsMadeOnceAndForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "release.key")
	if err := Keygen(path, ""); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key has mode %v, %v", info.Mode(), err)
	}
	key, err := LoadKey(path, "")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := LoadTrust([]string{path + ".pub"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, good(&key).bytes(t), DefaultLimits(), trust); err != nil {
		t.Error(err)
	}
	before := read(t, path)
	checkProblem(t, Keygen(path, ""), model.Conflict, path, "another name")
	if string(read(t, path)) != string(before) {
		t.Error("the key was overwritten")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, Keygen(path, ""), model.Conflict, path+".pub")
}

func TestAKeyWithAPassphraseNeedsIt(t *testing.T) {
	const path = "testdata/locked.key"
	_, err := LoadKey(path, "")
	checkProblem(t, err, model.Refused, path, "--passphrase-file")
	_, err = LoadKey(path, "another passphrase")
	checkProblem(t, err, model.Refused, path, "passphrase does not open")
	if key, err := LoadKey(path, toolSecret); err != nil || key.Public() != toolKey {
		t.Errorf("the right passphrase: %v, %v", key.Public(), err)
	}
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/text", "hello\n")
	write(t, dir+"/none", "untrusted comment: minisign public key\n\n")
	for _, path := range []string{dir + "/text", dir + "/none", "testdata/tool.pub", "testdata/message.minisig"} {
		_, err := LoadKey(path, "")
		checkProblem(t, err, model.Malformed, path, "keygen")
	}
	for _, path := range []string{dir + "/text", dir + "/none", "testdata/tool.key", "testdata/message.minisig"} {
		_, err := LoadTrust([]string{path}, false)
		checkProblem(t, err, model.Malformed, path, ".pub")
	}
	if _, err := LoadTrust([]string{toolKey[1:]}, false); err == nil || !strings.Contains(err.Error(), "neither a public key") {
		t.Errorf("a key with a letter missing: %v", err)
	}
}

func TestAFileOfTrustMayHoldManyKeys(t *testing.T) {
	first, _ := newKey(t)
	second, _ := newKey(t)
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, "untrusted comment: the old one\n"+first.Public()+"\r\n\nuntrusted comment: the new one\n"+second.Public())
	trust, err := LoadTrust([]string{path}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []Key{first, second} {
		if _, err := verify(t, good(&key).bytes(t), DefaultLimits(), trust); err != nil {
			t.Error(err)
		}
	}
}

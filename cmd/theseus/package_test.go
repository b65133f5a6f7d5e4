package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestALineEndIsNoPartOfAPassphrase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "phrase")
	for text, want := range map[string]string{"open sesame": "open sesame", " a b \r\n": " a b ", "x\n\n": "x"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		key := keyFlags{passphrase: file}
		if got, err := key.open(); got != want || err != nil {
			t.Errorf("%q: got %q, want %q, %v", text, got, want, err)
		}
	}
}

package store

import (
	"os"
	"strings"
	"testing"
)

func TestEveryCommandIsInTheProtocolDocument(t *testing.T) {
	raw, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range ops() {
		if row.since == first && !strings.Contains(string(raw), "`"+string(name)+"`") {
			t.Errorf("docs/protocol.md does not name %s", name)
		}
	}
}

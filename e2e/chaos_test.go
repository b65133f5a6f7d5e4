package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// slice is how many runs of chaos are made here: one of each kind.
const slice = "13"

// The slice of `make chaos` that every test run makes. SEED sets it again.
func TestWhateverHarmsAClusterAnUpgradeEndsAndNothingIsLost(t *testing.T) {
	t.Parallel()
	seed := os.Getenv("SEED")
	if seed == "" {
		seed = fmt.Sprint(rand.Uint32())
	}
	program := filepath.Join(t.TempDir(), "chaos")
	must[string](t)(output(t.Context(), shop.Root(), os.Environ(), "go", "build", "-o", program, "./e2e/chaos"))
	cmd := exec.CommandContext(t.Context(), program, "-seed", seed, "-runs", slice)
	cmd.Dir = shop.Root()
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	err := cmd.Run()
	t.Logf("%s", told.String())
	if err != nil || !strings.Contains(told.String(), "every run ended as promised") {
		t.Fatalf("chaos with SEED=%s: %v", seed, err)
	}
}

package upgrader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/upgrader/binary"
)

// A member that went back has its CLI back, once its turn is over; one whose
// upgrade was cleared away keeps the new one.
func TestTheCLIGoesBackWithTheDaemon(t *testing.T) {
	const old, fresh = "the old CLI", "the new CLI"
	sum := sha256.Sum256([]byte(fresh))
	image := "sha256:" + hex.EncodeToString(sum[:])
	for _, one := range []struct {
		name   string
		change func(u *Upgrader, p *picture)
		want   string
	}{
		{"it runs the target", func(u *Upgrader, p *picture) { u.Self.Image = p.upgrade.Archive.Images[u.Self.Platform] }, fresh},
		{"it went back", func(*Upgrader, *picture) {}, old},
		{"it went back, its turn is not over", func(u *Upgrader, p *picture) { p.upgrade = turn(p.upgrade, u.Self.ID, model.Probation) }, fresh},
		{"another member's turn", func(_ *Upgrader, p *picture) { p.upgrade = turn(p.upgrade, "n2", model.Probation) }, old},
		{"another upgrade is staged", func(_ *Upgrader, p *picture) { p.upgrade.ID = "u2" }, fresh},
		{"nothing is staged", func(_ *Upgrader, p *picture) { p.upgrade = nil }, fresh},
	} {
		t.Run(one.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "theseus")
			if err := os.WriteFile(path, []byte(old), 0o755); err != nil {
				t.Fatal(err)
			}
			p := picture{upgrade: rollout()}
			p.upgrade.Archive.CLIs = map[string]string{"linux/amd64": image}
			u := &Upgrader{Config: Config{Own: &binary.Own{CLI: binary.NewCLI(path)}, Log: slog.New(slog.DiscardHandler),
				Self: model.Member{ID: "n1", Platform: "linux/amd64", Image: "sha256:old"}}}
			open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(fresh)), nil }
			if err := u.Own.CLI.Replace(context.Background(), image, p.upgrade.ID, open); err != nil {
				t.Fatal(err)
			}
			one.change(u, &p)
			if err := u.matchCLI(context.Background(), p); err != nil {
				t.Error(err)
			}
			if raw, err := os.ReadFile(path); string(raw) != one.want {
				t.Errorf("the CLI is %q, want %q: %v", raw, one.want, err)
			}
			if said := u.Own.CLI.Due(); !said {
				t.Error("it failed")
			}
		})
	}
}

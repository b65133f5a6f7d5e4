package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/upgrader/binary"
)

// A supervisor that cannot be recognised is named by a flag, in every way a flag
// can be set; --restart exit says it too.
func TestASupervisorCanBeNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("supervised: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, set := range []struct {
		name string
		args []string
		env  string
		want bool
	}{
		{"not at all", nil, "", false},
		{"flag", []string{"--supervised"}, "", true},
		{"environment", nil, "true", true},
		{"file", []string{"--config", file}, "", true},
		{"restart", []string{"--restart", "exit"}, "", true},
	} {
		t.Run(set.name, func(t *testing.T) {
			f := pflag.NewFlagSet("theseusd", pflag.ContinueOnError)
			defineFlags(f)
			if err := f.Parse(set.args); err != nil {
				t.Fatal(err)
			}
			env := func(name string) (string, bool) { return set.env, name == "THESEUS_SUPERVISED" && set.env != "" }
			c, err := loadConfig(f, env)
			if err != nil {
				t.Fatal(err)
			}
			d := &daemon{config: c}
			if d.pulse, err = binary.NewPulse(slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			if err := d.openBinary(); err != nil {
				t.Fatal(err)
			}
			if d.own.Supervised != set.want {
				t.Errorf("supervised: %v", d.own.Supervised)
			}
		})
	}
}

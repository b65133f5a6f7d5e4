package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// settings loads a configuration from a command line, an environment and a file.
func settings(t *testing.T, args []string, env map[string]string, file string) (config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	f := pflag.NewFlagSet("theseusd", pflag.ContinueOnError)
	defineFlags(f)
	if err := f.Parse(append([]string{"--config", path}, args...)); err != nil {
		t.Fatal(err)
	}
	return loadConfig(f, func(name string) (string, bool) { v, there := env[name]; return v, there })
}

func TestAFlagBeatsTheEnvironmentAndThatBeatsTheFile(t *testing.T) {
	file := "data-dir: /from/file\nname: file\nlisten: 127.0.0.9:1\ntrusted-key: [a, b]\nallow-unsigned: true\n"
	env := map[string]string{"THESEUS_DATA_DIR": "/from/env", "THESEUS_NAME": "env"}
	got, err := settings(t, []string{"--data-dir", "/from/flag"}, env, file)
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		DataDir: "/from/flag", Name: "env", Listen: "127.0.0.9:1", RaftListen: "127.0.0.9:8093", Advertise: "127.0.0.9",
		TrustedKeys: []string{"a", "b"}, AllowUnsigned: true, Restart: "exec", LogLevel: "info", LogFormat: "text",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The file is empty, which is fine too.
func TestAListInTheEnvironmentIsCutAtCommas(t *testing.T) {
	got, err := settings(t, nil, map[string]string{"THESEUS_TRUSTED_KEY": "a,b"}, "")
	if diff := cmp.Diff([]string{"a", "b"}, got.TrustedKeys); err != nil || diff != "" {
		t.Error(diff, err)
	}
}

func TestAnUnknownOrBadSettingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		file string
		word string
	}{
		"an unknown one in the file": {file: "listn: x\n", word: `"listn"`},
		"a bad one in the file":      {file: "allow-unsigned: perhaps\n", word: "line 1"},
		"a bad one in the environment": {env: map[string]string{"THESEUS_ALLOW_UNSIGNED": "perhaps"},
			file: "name: x\n", word: "THESEUS_ALLOW_UNSIGNED"},
		"an address without a port":          {args: []string{"--listen", "localhost"}, file: "name: x\n", word: `"localhost"`},
		"a way to restart that there is not": {args: []string{"--restart", "reboot"}, file: "name: x\n", word: `"reboot"`},
		"a token file that is not there": {args: []string{"--join-token-file", "/no/such/file"}, file: "name: x\n",
			word: "join token"},
	} {
		_, err := settings(t, c.args, c.env, c.file)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: got %v, which does not say %s", name, err, c.word)
		}
	}
}

// A hook is run from another directory than the daemon was started in, and by the
// next image too.
func TestHooksAreSetInEveryWayAndHoldFromAnyDirectory(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	file := filepath.Join(here, "config.yaml")
	if err := os.WriteFile(file, []byte("post-hook: back\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := pflag.NewFlagSet("theseusd", pflag.ContinueOnError)
	defineFlags(f)
	if err := f.Parse([]string{"--config", file}); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return "./out", name == "THESEUS_DRAIN_HOOK" }
	c, err := loadConfig(f, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.DrainHook != filepath.Join(here, "out") || c.PostHook != filepath.Join(here, "back") || c.CLIPath != "" {
		t.Errorf("the hooks are %q and %q, the CLI %q", c.DrainHook, c.PostHook, c.CLIPath)
	}
}

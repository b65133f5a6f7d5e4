package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
)

func packageCommand(a *app) *cobra.Command {
	return group("package", "Make, sign and check upgrade archives",
		keygenCommand(a), buildCommand(a), signCommand(a), verifyCommand(a), inspectCommand(a))
}

// keyFlags are the file of a private key and what opens it.
type keyFlags struct{ file, passphrase string }

func (k *keyFlags) define(f *pflag.FlagSet, what string) {
	f.StringVar(&k.file, "key", "", what)
	f.StringVar(&k.passphrase, "passphrase-file", "", "file with the passphrase of the key")
}

// open reads the passphrase; a line end after it does not belong to it.
func (k *keyFlags) open() (string, error) {
	if k.passphrase == "" {
		return "", nil
	}
	text, err := os.ReadFile(k.passphrase)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	phrase := strings.TrimRight(string(text), "\r\n")
	if phrase == "" {
		return "", fmt.Errorf("read the passphrase: %s is empty", k.passphrase)
	}
	return phrase, nil
}

// load is the key, or nil when none was named.
func (k *keyFlags) load() (*staging.Key, error) {
	if k.file == "" {
		return nil, nil
	}
	phrase, err := k.open()
	if err != nil {
		return nil, err
	}
	key, err := staging.LoadKey(k.file, phrase)
	return &key, err
}

func keygenCommand(a *app) *cobra.Command {
	var key keyFlags
	c := leaf("keygen --key FILE", "Make a key that signs archives: FILE, and FILE.pub for --trusted-key", 0, 0, func(c *cobra.Command, _ []string) error {
		if key.file == "" {
			return usage(c, errors.New("--key FILE is missing"))
		}
		phrase, err := key.open()
		if err != nil {
			return err
		}
		err = staging.Keygen(key.file, phrase)
		return a.tell(err, "wrote %s (keep it to yourself) and %s.pub (give it to theseusd --trusted-key)", key.file, key.file)
	})
	key.define(c.Flags(), "file to write the private key to")
	return c
}

func buildCommand(a *app) *cobra.Command {
	var key keyFlags
	var version, out, manifest, format string
	var bins, migrations []string
	c := leaf("build --version X --bin OS/ARCH=DIR -o FILE", "Build an upgrade archive of programs", 0, 0, func(c *cobra.Command, _ []string) error {
		r, err := recipe(c, version, bins, migrations, manifest)
		if err != nil {
			return err
		}
		if out == "" {
			return usage(c, errors.New("-o FILE is missing"))
		}
		if r.Format, err = formatFor(c, format, out); err != nil {
			return err
		}
		if r.Key, err = key.load(); err != nil {
			return err
		}
		return a.tell(staging.BuildFile(out, r), "built %s", out)
	})
	key.define(c.Flags(), "file with the private key to sign with; without one the archive is not signed")
	c.Flags().StringVar(&version, "version", "", "version of the programs")
	c.Flags().StringArrayVar(&bins, "bin", nil, "directory with theseusd and theseus for a platform, as linux/amd64=DIR (repeatable)")
	c.Flags().StringArrayVar(&migrations, "migrations", nil, "directory with the programs of the migrations that the manifest declares for a platform, as linux/amd64=DIR (repeatable)")
	c.Flags().StringVar(&manifest, "manifest", "", "file with further fields of the manifest")
	c.Flags().StringVar(&format, "format", "", "zip or tar.gz (default: tar.gz if FILE ends in .tar.gz or .tgz, else zip)")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write")
	return c
}

// formatFor is the format that was asked for, or else the one that fits out.
func formatFor(c *cobra.Command, asked, out string) (staging.Format, error) {
	if asked == "" {
		return staging.FormatFor(out), nil
	}
	f, err := staging.ParseFormat(asked)
	if err != nil {
		return "", usage(c, fmt.Errorf("--format: %w", err))
	}
	return f, nil
}

// recipe is what the flags of build say.
func recipe(c *cobra.Command, version string, bins, migrations []string, manifest string) (r staging.Recipe, err error) {
	r.Version = version
	if len(bins) == 0 {
		return r, usage(c, errors.New("--bin OS/ARCH=DIR is missing"))
	}
	if r.Bins, err = directories(c, "--bin", bins); err != nil {
		return r, err
	}
	if r.Migrations, err = directories(c, "--migrations", migrations); err != nil {
		return r, err
	}
	if manifest == "" {
		if version == "" {
			return r, usage(c, errors.New("--version X is missing"))
		}
		return r, nil
	}
	r.Extra, err = os.ReadFile(manifest)
	return r, err
}

// directories are those that a flag names, by platform.
func directories(c *cobra.Command, flag string, given []string) (map[string]string, error) {
	dirs := map[string]string{}
	for _, one := range given {
		platform, dir, split := strings.Cut(one, "=")
		if _, twice := dirs[platform]; !split || dir == "" || twice {
			return nil, usage(c, fmt.Errorf("%s %q: want OS/ARCH=DIR, each platform once", flag, one))
		}
		dirs[platform] = dir
	}
	return dirs, nil
}

func signCommand(a *app) *cobra.Command {
	var key keyFlags
	c := leaf("sign FILE --key KEY", "Sign an archive, in place of the signature that it has", 1, 1, func(c *cobra.Command, args []string) error {
		k, err := key.load()
		if err != nil {
			return err
		}
		if k == nil {
			return usage(c, errors.New("--key KEY is missing"))
		}
		err = staging.SignFile(c.Context(), args[0], staging.DefaultLimits(), *k)
		return a.tell(err, "signed %s with key %s", args[0], k.ID())
	})
	key.define(c.Flags(), "file with the private key")
	return c
}

func verifyCommand(a *app) *cobra.Command {
	var keys []string
	var unsigned bool
	c := leaf("verify FILE --trusted-key KEY", "Check an archive as a member would", 1, 1, func(c *cobra.Command, args []string) error {
		if len(keys) == 0 && !unsigned {
			return usage(c, errors.New("say whom to trust: --trusted-key KEY, or --allow-unsigned"))
		}
		trust, err := staging.LoadTrust(keys, unsigned)
		if err != nil {
			return err
		}
		return a.judge(c, args[0], trust)
	})
	c.Flags().StringArrayVar(&keys, "trusted-key", nil, "public key, or a file of such, that may sign (repeatable)")
	c.Flags().BoolVar(&unsigned, "allow-unsigned", false, "take archives that nobody trusted has signed")
	return c
}

func inspectCommand(a *app) *cobra.Command {
	return leaf("inspect FILE", "Show what is in an archive, whoever signed it", 1, 1, func(c *cobra.Command, args []string) error {
		return a.judge(c, args[0], staging.Trust{AllowUnsigned: true})
	})
}

// judge verifies file and shows what it holds.
func (a *app) judge(c *cobra.Command, file string, trust staging.Trust) error {
	if _, err := a.format(c); err != nil {
		return err
	}
	facts, err := staging.VerifyFile(c.Context(), file, staging.DefaultLimits(), trust)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(contents{
		facts.Version, slices.Sorted(maps.Keys(facts.Images)), facts.Images, facts.CLIs, facts.Signer, facts.Trusted, facts.Rules, facts.Migrations})
	if err != nil {
		return err
	}
	return a.show(c, raw, contentsTable)
}

// contents are the facts of an archive as they are shown.
type contents struct {
	Version   string            `json:"version"`
	Platforms []string          `json:"platforms"`
	Images    map[string]string `json:"images"`
	CLIs      map[string]string `json:"clis"`
	Signer    string            `json:"signer"`
	Trusted   bool              `json:"trusted"`
	Rules     *model.Rules      `json:"rules,omitempty"`

	Migrations []model.Migration `json:"migrations,omitempty"`
}

func contentsTable(w io.Writer, raw json.RawMessage) error {
	held, err := decode[contents](raw)
	if err != nil {
		return err
	}
	row(w, "version", held.Version)
	row(w, "signed by", first(held.Signer, "nobody"))
	row(w, "trusted", yes(held.Trusted))
	for _, platform := range held.Platforms {
		row(w, platform, "theseusd "+held.Images[platform])
		if cli, there := held.CLIs[platform]; there {
			row(w, platform, "theseus  "+cli)
		}
	}
	if held.Rules != nil {
		rulesTable(w, *held.Rules)
	}
	for _, m := range held.Migrations {
		migrationRows(w, m)
	}
	return nil
}

// migrationRows show when a migration runs, within what limits, and its programs.
func migrationRows(w io.Writer, m model.Migration) {
	about := "phase " + string(m.Phase)
	if m.Memory > 0 {
		about += ", memory " + staging.FormatSize(m.Memory)
	}
	if m.Deadline > 0 {
		about += ", deadline " + staging.FormatAge(m.Deadline)
	}
	row(w, "migration "+m.Name, about)
	for _, platform := range slices.Sorted(maps.Keys(m.Images)) {
		row(w, platform, m.Name+" "+m.Images[platform])
	}
}

// rulesTable shows what a package asks for.
func rulesTable(w io.Writer, r model.Rules) {
	optional(w, "reachable from", r.Lowest)
	optional(w, "skips from", strings.Join(r.Skips, ", "))
	optional(w, "requires memory", staging.FormatSize(r.Memory))
	optional(w, "requires disk", staging.FormatSize(r.Disk))
	optional(w, "requires backup", staging.FormatAge(r.Backup))
	for _, name := range slices.Sorted(maps.Keys(r.Companions)) {
		row(w, "requires "+name, r.Companions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		row(w, "requires setting", name+" = "+r.Settings[name])
	}
}

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/theseusd/theseus/e2e"
)

// The builds that runs go between, and those of them that can be told to die.
var (
	v100     = e2e.Build{Version: "1.0.0"}
	v110     = e2e.Build{Version: "1.1.0", Tags: "era"}
	crash100 = e2e.Build{Version: "1.0.0", Tags: "crash"}
	crash110 = e2e.Build{Version: "1.1.0", Tags: "crash,era"}
)

// lab makes what the runs need, each thing once.
type lab struct {
	shop   *e2e.Workshop
	faults []string // kinds of FAULT, as the Makefile lists them
	points []string // names of crash points that an upgrade passes

	mu      sync.Mutex // held while a package of a spoiled binary is made
	spoiled map[string]string
}

func newLab(dir string) (*lab, error) {
	shop, err := e2e.NewWorkshop(dir)
	if err != nil {
		return nil, err
	}
	l := &lab{shop: shop, spoiled: map[string]string{}}
	if l.faults, err = faults(shop.Root()); err != nil {
		return nil, err
	}
	l.points, err = l.crashPoints()
	return l, err
}

// faults reads the kinds of bad builds off the Makefile.
func faults(root string) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		if name, kinds, ok := strings.Cut(line, ":="); ok && strings.TrimSpace(name) == "faults" {
			return strings.Fields(kinds), nil
		}
	}
	return nil, fmt.Errorf("the Makefile in %s lists no faults", root)
}

// crashPoints are those of an upgrade; a member that a snapshot is sent to
// passes the others.
func (l *lab) crashPoints() (names []string, err error) {
	dir, err := l.shop.Binaries(context.Background(), crash100)
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(filepath.Join(dir, "theseusd"), "crash-points").Output()
	for _, name := range strings.Fields(string(out)) {
		if !strings.HasPrefix(name, "install-") {
			names = append(names, name)
		}
	}
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("there are no crash points")
	}
	return names, err
}

// key is that of the releases; the members trust its public half.
func (l *lab) key(ctx context.Context) (string, error) {
	cli, err := l.cli(ctx)
	if err != nil {
		return "", err
	}
	return l.shop.Key(ctx, cli, "release")
}

func (l *lab) cli(ctx context.Context) (string, error) {
	dir, err := l.shop.Binaries(ctx, v100)
	return filepath.Join(dir, "theseus"), err
}

// image is the digest of the theseusd of b.
func (l *lab) image(ctx context.Context, b e2e.Build) (string, error) {
	dir, err := l.shop.Binaries(ctx, b)
	if err != nil {
		return "", err
	}
	return e2e.FileImage(filepath.Join(dir, "theseusd"))
}

// archive is a signed package of b.
func (l *lab) archive(ctx context.Context, b e2e.Build) (string, error) {
	dir, err := l.shop.Binaries(ctx, b)
	if err != nil {
		return "", err
	}
	return l.pack(ctx, dir, b.Version)
}

// tools are what packages are made with.
func (l *lab) tools(ctx context.Context) (cli, key string, err error) {
	if cli, err = l.cli(ctx); err == nil {
		key, err = l.key(ctx)
	}
	return cli, key, err
}

// moving is a signed package of b that brings a migration.
func (l *lab) moving(ctx context.Context, b e2e.Build, name string) (string, error) {
	cli, key, err := l.tools(ctx)
	if err != nil {
		return "", err
	}
	return l.shop.Migrating(ctx, cli, b, key, name)
}

func (l *lab) pack(ctx context.Context, dir, version string) (string, error) {
	cli, key, err := l.tools(ctx)
	if err != nil {
		return "", err
	}
	return l.shop.Package(ctx, cli, version, dir, key)
}

// spoil is a way of making a binary that this machine cannot run.
type spoil string

const (
	otherMachine spoil = "another architecture"
	garbage      spoil = "garbage"
	truncated    spoil = "half of it"
)

func spoils() []spoil { return []spoil{otherMachine, garbage, truncated} }

// of changes the bytes of a good binary.
func (s spoil) of(raw []byte) []byte {
	switch s {
	case otherMachine:
		other := uint16(0xb7) // EM_AARCH64
		if runtime.GOARCH == "arm64" {
			other = 0x3e // EM_X86_64
		}
		binary.LittleEndian.PutUint16(raw[18:], other)
	case garbage:
		for i := range raw {
			raw[i] = byte(i*7 + i>>8)
		}
	case truncated:
		raw = raw[:len(raw)/2]
	}
	return raw
}

// spoiledArchive is a signed package of 1.1.0 whose theseusd is spoiled.
func (l *lab) spoiledArchive(ctx context.Context, s spoil) (string, error) {
	from, err := l.shop.Binaries(ctx, v110)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if file, made := l.spoiled[string(s)]; made {
		return file, nil
	}
	dir := filepath.Join(l.shop.Dir, "spoiled", strings.ReplaceAll(string(s), " ", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"theseusd", "theseus"} {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return "", err
		}
		if name == "theseusd" {
			raw = s.of(raw)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o755); err != nil {
			return "", err
		}
	}
	file, err := l.pack(ctx, dir, v110.Version)
	if err == nil {
		l.spoiled[string(s)] = file
	}
	return file, err
}

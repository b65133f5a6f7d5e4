package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Workshop makes builds, a signing key and packages below one directory, each
// once however often it is asked for. Its methods may be called at once.
type Workshop struct {
	Dir  string
	root string // of the source tree

	mu   sync.Mutex // held while something is made
	made map[string]string
}

// Build is what `make build` is asked for.
type Build struct {
	Version string
	Fault   string // empty: none
	Tags    string // further build tags
	Commit  string // of the source; empty: the source as it is here
}

// NewWorkshop makes things below dir from the source tree around the working directory.
func NewWorkshop(dir string) (*Workshop, error) {
	root, err := sourceTree()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	return &Workshop{Dir: dir, root: root, made: map[string]string{}}, err
}

func sourceTree() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the source tree: no go.mod here or above")
		}
	}
}

// Root is the directory of the source tree.
func (w *Workshop) Root() string { return w.root }

// once makes the thing called name by make, and answers its path.
func (w *Workshop) once(name string, make func(path string) error) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if path, there := w.made[name]; there {
		return path, nil
	}
	path := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := make(path); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	w.made[name] = path
	return path, nil
}

// Binaries answers a directory with the theseusd and theseus of b.
func (w *Workshop) Binaries(ctx context.Context, b Build) (dir string, err error) {
	name := strings.Join(strings.Fields(b.Version+" "+b.Fault+" "+strings.ReplaceAll(b.Tags, ",", " ")+" "+b.Commit), "-")
	source, err := w.source(ctx, b.Commit)
	if err != nil {
		return "", err
	}
	return w.once("bin/"+name, func(path string) error {
		_, err := output(ctx, source, nil, "make", "--no-print-directory", "build",
			"VERSION="+b.Version, "BIN="+path, "FAULT="+b.Fault, "TAGS="+b.Tags)
		return err
	})
}

// source is a directory with the source of a commit.
func (w *Workshop) source(ctx context.Context, commit string) (string, error) {
	if commit == "" {
		return w.root, nil
	}
	return w.once("source/"+commit, func(path string) error {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		tar := path + ".tar"
		defer os.Remove(tar)
		if _, err := output(ctx, w.root, nil, "git", "archive", "-o", tar, commit); err != nil {
			return fmt.Errorf("an earlier build needs the history of the source, of which a shallow clone has none: %w", err)
		}
		_, err := output(ctx, path, nil, "tar", "-xf", tar)
		return err
	})
}

// Key answers the path of a signing key called name; the public half has the
// suffix .pub. cli is a theseus to make it with.
func (w *Workshop) Key(ctx context.Context, cli, name string) (path string, err error) {
	return w.once("keys/"+name, func(path string) error {
		_, err := output(ctx, "", nil, cli, "package", "keygen", "--key", path)
		return err
	})
}

// Package answers the path of an archive of version made of the binaries in bin;
// an empty key leaves it unsigned.
func (w *Workshop) Package(ctx context.Context, cli, version, bin, key string) (path string, err error) {
	signer := "nobody"
	if key != "" {
		signer = filepath.Base(key)
	}
	name := fmt.Sprintf("packages/%s-of-%s-by-%s.zip", version, filepath.Base(bin), signer)
	return w.once(name, func(path string) error {
		args := []string{"package", "build", "--version", version, "--bin", platform() + "=" + bin, "-o", path}
		if key != "" {
			args = append(args, "--key", key)
		}
		_, err := output(ctx, "", nil, cli, args...)
		return err
	})
}

// output runs a program to its end and answers what it wrote to stdout. The
// error holds what it wrote to stderr.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), &CommandError{Command: cmd.String(), Err: err, Stderr: stderr.String()}
	}
	return stdout.String(), nil
}

// CommandError is a program that did not end well.
type CommandError struct {
	Command string
	Err     error // an *exec.ExitError when it ran
	Stderr  string
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.Command, e.Err, strings.TrimSpace(e.Stderr))
}

func (e *CommandError) Unwrap() error { return e.Err }

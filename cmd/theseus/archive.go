package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const fileHelp = `
FILE may be - for stdin, an http or https URL, which is passed on as it comes,
or catalog:NAME, which is downloaded and verified first.`

// archive is what a FILE names, open.
type archive struct {
	io.ReadCloser
	file   *os.File // nil when it can be read only once
	size   int64    // in bytes; -1: not known
	digest string   // SHA-256 in hex; "" when only reading it once tells
}

// open opens file, and hashes it if it can be read again.
func (a *app) open(c *cobra.Command, file string) (*archive, error) {
	switch {
	case file == "-":
		return &archive{ReadCloser: io.NopCloser(a.stdin), size: -1}, nil
	case strings.HasPrefix(file, "http://"), strings.HasPrefix(file, "https://"):
		return download(c.Context(), file)
	case strings.HasPrefix(file, catalogPrefix):
		return a.fromCatalog(c.Context(), file)
	}
	return openFile(file)
}

// fromCatalog is an item of the catalog; its file goes when it is closed.
func (a *app) fromCatalog(ctx context.Context, reference string) (*archive, error) {
	path, cleanup, err := a.catalogFile(ctx, reference)
	if err != nil {
		return nil, err
	}
	in, err := openFile(path)
	if err != nil {
		cleanup()
		return nil, err
	}
	in.ReadCloser = closing{in.ReadCloser, cleanup}
	return in, nil
}

// closing does one thing more at Close.
type closing struct {
	io.ReadCloser
	then func()
}

func (c closing) Close() error {
	defer c.then()
	return c.ReadCloser.Close()
}

func openFile(file string) (*archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	in, err := opened(file, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return in, nil
}

func opened(name string, f *os.File) (*archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("open %s: it is a directory", name)
	}
	if !info.Mode().IsRegular() {
		return &archive{ReadCloser: f, size: -1}, nil
	}
	in := &archive{ReadCloser: f, file: f, size: info.Size()}
	if in.size == 0 {
		return in, nil // the server says what is wrong with it
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, in.size)); err != nil {
		return nil, err
	}
	in.digest = hex.EncodeToString(sum.Sum(nil))
	return in, nil
}

// download begins to read what is at an address.
func download(ctx context.Context, url string) (*archive, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", url, err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("download %s: the answer is %s", url, answer.Status)
	}
	return &archive{ReadCloser: answer.Body, size: answer.ContentLength}, nil
}

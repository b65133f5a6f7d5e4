package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

const (
	currentFile = "CURRENT"
	recordsFile = "records.db"
	archivesDir = "archives"
	fileSuffix  = ".db"
	spoolPrefix = "spool-"
)

// generation is one directory of state: records and archives that belong
// together. A snapshot from another member arrives as a new one, and CURRENT
// says which one lives.
type generation struct {
	name    string
	dir     string
	records *file

	mu       sync.Mutex // guards archives
	archives map[string]*file
}

// liveGeneration opens the generation that CURRENT names. If fresh, there may
// be none yet, and the first one is made.
func liveGeneration(state string, fresh bool) (*generation, error) {
	name, err := current(state)
	if fresh && errors.Is(err, os.ErrNotExist) {
		name, err = firstGeneration(state)
	}
	if err != nil {
		return nil, err
	}
	if err := removeLeftovers(state, name); err != nil {
		return nil, err
	}
	return openGeneration(state, name)
}

func current(state string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(state, currentFile))
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(string(raw), "\n")
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return "", fmt.Errorf("read %s: %q names no generation", filepath.Join(state, currentFile), name)
	}
	return name, nil
}

// pointTo makes a generation the live one.
func pointTo(state, name string) error {
	return durable.Write(filepath.Join(state, currentFile), 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, name+"\n")
		return err
	})
}

func firstGeneration(state string) (string, error) {
	name := generationName(0)
	if err := makeDir(filepath.Join(state, name, archivesDir)); err != nil {
		return "", err
	}
	g, err := openGeneration(state, name)
	if err != nil {
		return "", err
	}
	if err := g.close(); err != nil {
		return "", err
	}
	if err := durable.SyncDir(state); err != nil {
		return "", err
	}
	return name, pointTo(state, name)
}

// generationName is new each time: a snapshot may come twice at the same index.
func generationName(index uint64) string {
	var b [4]byte
	rand.Read(b[:])
	return fmt.Sprintf("g%d-%s", index, hex.EncodeToString(b[:]))
}

// removeLeftovers removes what a crash left: generations that are not the live
// one, half written files, uploads that nobody can resume.
func removeLeftovers(state, live string) error {
	entries, err := os.ReadDir(state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, resumable := partialNamed(e.Name()); resumable || e.Name() == live || e.Name() == currentFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(state, e.Name())); err != nil {
			return fmt.Errorf("remove leftover: %w", err)
		}
	}
	return nil
}

func openGeneration(state, name string) (*generation, error) {
	dir := filepath.Join(state, name)
	db, err := openOrCreate(filepath.Join(dir, recordsFile))
	if err != nil {
		return nil, err
	}
	if err := makeBuckets(db, recordBuckets()...); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &generation{name: name, dir: dir, records: &file{DB: db}, archives: map[string]*file{}}, nil
}

func (g *generation) archivesPath() string { return filepath.Join(g.dir, archivesDir) }

func (g *generation) archivePath(digest string) string {
	return filepath.Join(g.archivesPath(), digest+fileSuffix)
}

// archive opens the file of an archive, which then stays open. ErrNotFound when
// there is none and it shall not be made.
func (g *generation) archive(digest string, create bool) (*file, error) {
	if !validDigest(digest) {
		return nil, ErrNotFound
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.archives[digest]; f != nil {
		return f, nil
	}
	db, err := g.openArchive(digest, create)
	if err != nil {
		return nil, err
	}
	f := &file{DB: db}
	g.archives[digest] = f
	return f, nil
}

func (g *generation) openArchive(digest string, create bool) (*bolt.DB, error) {
	path := g.archivePath(digest)
	if create {
		return openOrCreate(path)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	return openBolt(path)
}

// forget takes an archive's file out of use and hands it to the caller to
// close; nil when it is not open.
func (g *generation) forget(digest string) *file {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.archives[digest]
	delete(g.archives, digest)
	return f
}

// keepOnly removes every file of an archive that is not in keep.
func (g *generation) keepOnly(keep map[string]bool) error {
	entries, err := os.ReadDir(g.archivesPath())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep[strings.TrimSuffix(e.Name(), fileSuffix)] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(g.archivesPath(), e.Name())); err != nil {
			return fmt.Errorf("remove archive that nobody knows: %w", err)
		}
	}
	return durable.SyncDir(g.archivesPath())
}

func (g *generation) close() error {
	err := g.records.close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range g.archives {
		err = errors.Join(err, f.close())
	}
	return err
}

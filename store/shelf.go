package store

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/internal/durable"
)

const partialPrefix = "partial-"

// shelf keeps the uploads that can be resumed, each in a file of its own that is
// opened at its first use and stays open.
type shelf struct {
	dir string

	mu     sync.Mutex // held for what follows, and while a file of the shelf comes or goes
	files  map[string]*partialFile
	closed bool
}

type partialFile struct {
	*file
	spool *Spool // that adds to it; nil: none
}

func newShelf(dir string) *shelf { return &shelf{dir: dir, files: map[string]*partialFile{}} }

func (s *shelf) path(digest string) string {
	return filepath.Join(s.dir, partialPrefix+digest+fileSuffix)
}

// take hands out a spool that goes on where the file of digest ends.
func (s *shelf) take(digest string, total int64) (*Spool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.open(digest, true)
	if err != nil {
		return nil, err
	}
	if f.spool != nil {
		return nil, ErrBusy
	}
	p := &Spool{shelf: s, name: digest, path: s.path(digest), db: f.DB, buf: make([]byte, 0, spoolBatch)}
	err = f.Update(func(tx *bolt.Tx) error {
		if err := begin(tx, total); err != nil {
			return err
		}
		p.written = uint32(chunksSize(tx) / ChunkSize)
		p.buf = append(p.buf, tail(tx)...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.written == 0 && len(p.buf) == 0 {
		p.hash = sha256.New()
	}
	f.spool = p
	return p, nil
}

// open is called with mu held. ErrNotFound when there is no file and it shall
// not be made.
func (s *shelf) open(digest string, create bool) (*partialFile, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if f := s.files[digest]; f != nil {
		return f, nil
	}
	if !validDigest(digest) {
		return nil, ErrNotFound
	}
	if _, err := os.Stat(s.path(digest)); errors.Is(err, os.ErrNotExist) && !create {
		return nil, ErrNotFound
	}
	db, err := openOrCreate(s.path(digest))
	if err != nil {
		return nil, err
	}
	f := &partialFile{file: &file{DB: db}}
	s.files[digest] = f
	return f, nil
}

// view reads from the file of digest, which may be added to meanwhile.
func (s *shelf) view(digest string, read func(*bolt.Tx) error) error {
	s.mu.Lock()
	f, err := s.open(digest, false)
	var tx *reader
	if err == nil {
		tx, err = f.read()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer tx.end()
	return read(tx.Tx)
}

// putBack ends the adding to a file.
func (s *shelf) putBack(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[digest]; f != nil {
		f.spool = nil
	}
}

// remove closes the file of digest, when its readers are done, and then has its
// name changed or taken by then.
func (s *shelf) remove(digest string, then func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[digest]
	delete(s.files, digest)
	if f == nil {
		return ErrClosed
	}
	return errors.Join(f.close(), then())
}

// drop removes the file of digest.
func (s *shelf) drop(digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !validDigest(digest) || s.closed {
		return nil
	}
	f := s.files[digest]
	if f != nil && f.spool != nil {
		return ErrBusy
	}
	delete(s.files, digest)
	if f != nil {
		if err := f.close(); err != nil {
			return err
		}
	}
	return durable.Remove(s.path(digest))
}

// list is every partial on disk, the one that was touched longest ago first.
func (s *shelf) list() ([]Partial, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []Partial
	for _, e := range entries {
		digest, ok := partialNamed(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Partial{Digest: digest, Touched: info.ModTime()})
	}
	slices.SortFunc(all, func(a, b Partial) int { return a.Touched.Compare(b.Touched) })
	return all, nil
}

// close puts every upload under way aside, and closes the files.
func (s *shelf) close() error {
	var errs []error
	for _, p := range s.busy() {
		errs = append(errs, p.Suspend())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest, f := range s.files {
		errs = append(errs, f.close())
		delete(s.files, digest)
	}
	return errors.Join(errs...)
}

// busy are the spools that are being added to; there will be no more.
func (s *shelf) busy() (all []*Spool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, f := range s.files {
		if f.spool != nil {
			all = append(all, f.spool)
		}
	}
	return all
}

package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrStubbed is returned for an archive that the log still refers to: whoever
// replays the log, or is sent it, would miss the bytes. Compact the log first.
var ErrStubbed = errors.New("the log still refers to it")

// DropArchive removes an archive's file and returns its disk. That the records
// do not speak of the archive any more is the caller's to see to. One that is
// not here is dropped already.
func (s *Store) DropArchive(digest string) error {
	if !validDigest(digest) {
		return fmt.Errorf("drop archive %q: not a digest", digest)
	}
	s.log.mu.Lock() // no chunk of it may come in between
	defer s.log.mu.Unlock()
	stubbed, err := s.log.HasStub(digest)
	if err == nil && stubbed {
		err = ErrStubbed
	}
	if err == nil {
		err = s.vault.drop(digest)
	}
	if err != nil {
		return fmt.Errorf("drop archive %s: %w", digest, err)
	}
	return nil
}

// Archives are the digests of all archives that have a file here, known to the
// records or not.
func (s *Store) Archives() (digests []string, err error) {
	err = s.vault.use(func(g *generation) error {
		entries, err := os.ReadDir(g.archivesPath())
		for _, e := range entries {
			if digest, whole := strings.CutSuffix(e.Name(), fileSuffix); whole { // not one that is being made
				digests = append(digests, digest)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the archives: %w", err)
	}
	return digests, nil
}

package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// partial is a download under way: the file .<base>.part beside where it goes, and
// a note .<base>.part.of that says of what it is a part. The note is removed first
// and written last, so that bytes never stand under another item's note. A lock
// on the file keeps a second download to the same place out.
type partial struct {
	path  string
	item  Item
	file  *os.File
	watch func(have int64)

	have int64     // bytes in file
	sum  hash.Hash // of them
	tag  string    // of the source's file that they are of
	bad  bool
}

// openPartial takes over what is there of item for path, or begins anew.
func openPartial(path string, item Item) (*partial, error) {
	p := &partial{path: filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part"), item: item, sum: sha256.New()}
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	p.file = f
	if err := p.lock(); err != nil {
		f.Close()
		return nil, err
	}
	if err := p.takeOver(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// lock holds that nobody else writes the file, and that it still has its name:
// who had the lock before may have renamed it.
func (p *partial) lock() error {
	err := syscall.Flock(int(p.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return err
	}
	mine, errMine := p.file.Stat()
	there, errThere := os.Stat(p.path)
	if err != nil || errors.Join(errMine, errThere) != nil || !os.SameFile(mine, there) {
		return model.Problemf(model.Conflict, "another download to the same file is under way: wait for it, or name another file")
	}
	return nil
}

// takeOver hashes what an earlier run left, if it is of the same item.
func (p *partial) takeOver() error {
	note, err := os.ReadFile(p.note())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	of, tag, _ := strings.Cut(strings.TrimSuffix(string(note), "\n"), "\n")
	if of != p.item.SHA256 {
		return p.restart("")
	}
	if p.have, err = io.Copy(p.sum, p.file); err != nil {
		return err
	}
	p.tag = tag
	return nil
}

// restart forgets what came; what comes is of the source's file with tag.
func (p *partial) restart(tag string) error {
	if err := durable.Remove(p.note()); err != nil {
		return err
	}
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	p.have, p.tag = 0, tag
	p.sum.Reset()
	return durable.WriteBytes(p.note(), 0o600, []byte(p.item.SHA256+"\n"+tag+"\n"))
}

func (p *partial) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.have += int64(n)
	if p.watch != nil {
		p.watch(p.have)
	}
	return n, err
}

func (p *partial) digest() string { return hex.EncodeToString(p.sum.Sum(nil)) }

func (p *partial) note() string { return p.path + ".of" }

// become gives what is whole its name.
func (p *partial) become(path string) error {
	if err := errors.Join(p.file.Chmod(0o644), p.file.Sync()); err != nil {
		return err
	}
	if err := durable.Rename(p.path, path); err != nil {
		return err
	}
	return durable.Remove(p.note())
}

// condemn is a refusal of what came: it is not kept.
func (p *partial) condemn(format string, args ...any) error {
	p.bad = true
	return model.Problemf(model.Refused, format, args...)
}

// close keeps what came for another time, unless it is bad or nothing. What
// cannot be removed does no harm: it will be found bad again.
func (p *partial) close() {
	if p.bad || p.have == 0 {
		_ = errors.Join(durable.Remove(p.note()), durable.Remove(p.path))
	}
	p.file.Close()
}

package upgrader

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/store/backup"
	"github.com/theseusd/theseus/upgrader/policy"
)

const (
	// restoreLimit bounds a backup that is sent to be restored.
	restoreLimit = 4 << 30
	// A command of a restore holds so many bytes of records, or a larger one alone.
	restoreBatch = 256 << 10
)

// Restore brings the records of a backup into this cluster, which has to be new.
// Until all are there the cluster keeps its own; then they take their place on
// every member at once, the users too, and every login ends.
func (u *Upgrader) Restore(ctx context.Context, body io.Reader, by string) (model.Restored, error) {
	var r model.Restored
	if err := u.restorable(ctx); err != nil { // before the first byte is read
		return r, err
	}
	f, err := u.keepRestore(body)
	if err != nil {
		return r, err
	}
	defer f.Close()
	found, err := backup.Read(f, nil)
	if err != nil {
		return r, model.Problemf(model.Refused, "%v", err)
	}
	if err := u.suits(found); err != nil {
		return r, err
	}
	r = model.Restored{BackupContents: found, Cluster: newClusterID()}
	err = u.restoreFrom(ctx, f, r, by)
	if err == nil {
		u.Log.Info("restored a backup", "made", r.Header.Made, "of", r.Header.Cluster, "by", by, "cluster", r.Cluster)
	}
	return r, err
}

// keepRestore keeps what is sent in a file that has no name.
func (u *Upgrader) keepRestore(body io.Reader) (*os.File, error) {
	f, err := os.CreateTemp(u.DataDir, ".restore-*")
	if err != nil {
		return nil, fmt.Errorf("keep the backup: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	n, err := io.Copy(f, io.LimitReader(body, restoreLimit+1))
	switch {
	case err != nil:
		err = model.Problemf(model.Malformed, "receive the backup: %v", err)
	case n > restoreLimit:
		err = model.Problemf(model.TooLarge, "the backup is larger than %d bytes", int64(restoreLimit))
	default:
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// restorable says why nothing can be restored into this cluster.
func (u *Upgrader) restorable(ctx context.Context) error {
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return err
	}
	p, err := u.look()
	if err != nil {
		return err
	}
	if p.cluster.Level == 0 {
		return tooEarly()
	}
	return u.Store.View(func(v *store.View) error {
		is, err := v.Untouched()
		if err == nil && !is {
			err = used()
		}
		return err
	})
}

func used() error {
	return model.Problemf(model.Conflict, "this cluster is in use: a backup is restored only into a new one, that has no profiles, no users but its first and no upgrades: start theseusd on empty data directories")
}

// suits says why a backup that is whole cannot be restored here.
func (u *Upgrader) suits(found model.BackupContents) error {
	p, err := u.look()
	if err != nil {
		return err
	}
	switch h := found.Header; {
	case h.Level > p.cluster.Level || policy.Older(p.cluster.Version, h.Version):
		return model.Problemf(model.Refused, "the backup is of a cluster of version %s (protocol level %d), and this one is at %s (%d): restore it into a cluster of %s or later",
			h.Version, h.Level, p.cluster.Version, p.cluster.Level, h.Version)
	case found.Users == 0:
		return model.Problemf(model.Refused, "the backup holds no user: nobody could log in")
	}
	return nil
}

// restoreFrom sends the records of a backup that was verified through the log.
func (u *Upgrader) restoreFrom(ctx context.Context, f *os.File, r model.Restored, by string) error {
	id := strings.ToLower(rand.Text())
	err := u.sendRestore(ctx, f, id, r, by)
	if err == nil || u.cameThrough(ctx, r.Cluster) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actLimit)
	defer cancel()
	// If that fails too, the next restore drops it.
	_ = u.propose(ctx, store.OpRestoreDrop, store.RestoreRef{ID: id})
	if errors.Is(err, store.ErrConflict) {
		return model.Problemf(model.Conflict, "the cluster was used, or another restore began, while this one was under way: nothing was restored")
	}
	return fmt.Errorf("restore the backup: %w", err)
}

// cameThrough says whether a commit took effect whose answer was lost.
func (u *Upgrader) cameThrough(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actLimit)
	defer cancel()
	if u.Cluster.ReadIndex(ctx) != nil {
		return false
	}
	p, err := u.look()
	return err == nil && p.cluster.ID == id
}

func (u *Upgrader) sendRestore(ctx context.Context, f *os.File, id string, r model.Restored, by string) error {
	if err := u.propose(ctx, store.OpRestoreBegin, store.RestoreBegin{ID: id, By: by, Backup: r.Header}); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b := &batch{put: store.RestorePut{ID: id}, send: func(put store.RestorePut) error { return u.propose(ctx, store.OpRestorePut, put) }}
	found, err := backup.Read(f, func(_ model.BackupHeader, record backup.Record) error { return b.add(record) })
	if err != nil {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	return u.propose(ctx, store.OpRestoreCommit, store.RestoreCommit{ID: id, Records: found.Records, Digest: found.Digest, Cluster: r.Cluster})
}

// batch gathers records until there are enough for a command.
type batch struct {
	put  store.RestorePut
	size int
	send func(store.RestorePut) error
}

func (b *batch) add(r backup.Record) error {
	if b.size += len(r.Key) + len(r.Value); b.size > restoreBatch {
		if err := b.flush(); err != nil {
			return err
		}
		b.size = len(r.Key) + len(r.Value)
	}
	b.put.Records = append(b.put.Records, r)
	return nil
}

func (b *batch) flush() error {
	if len(b.put.Records) == 0 {
		return nil
	}
	err := b.send(b.put)
	b.put.Have += len(b.put.Records)
	b.put.Records, b.size = nil, 0
	return err
}

func newClusterID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

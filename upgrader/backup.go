package upgrader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/store/backup"
	"github.com/theseusd/theseus/upgrader/policy"
)

// What members ask each other of their backups.
const (
	pathBackups    = "/backups"
	pathBackupFile = "/backups/file"
	pathBackupDrop = "/backups/drop"
)

const (
	backupDir    = "backups" // in the data directory
	backupSuffix = ".backup"
	manual       = "manual-" // what the names of backups begin with, by who asked
	automatic    = "auto-"
	// automaticKept is how many backups that nobody asked for a member keeps.
	automaticKept = 10
	// backupLimit is how long one may take to be written.
	backupLimit = time.Minute
)

// byItself is who makes what nobody asked for.
const byItself = "theseus"

// Backup makes a backup of the records on this member, as of now or later. It
// stays until somebody removes it.
func (u *Upgrader) Backup(ctx context.Context, reason, by string) (model.Backup, error) {
	return u.backup(ctx, manual, reason, by)
}

func (u *Upgrader) backup(ctx context.Context, kind, reason, by string) (b model.Backup, err error) {
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return b, err
	}
	if b, err = u.writeBackup(kind, reason, by); err != nil {
		return b, fmt.Errorf("make a backup: %w", err)
	}
	p, err := u.look()
	if err != nil || p.cluster.Level == 0 {
		return b, err
	}
	if err := u.propose(ctx, store.OpBackupMade, store.BackupMade{Backup: b}); err != nil {
		return b, fmt.Errorf("note the backup %s: %w", b.Name, err)
	}
	return b, nil
}

// writeBackup writes the file whole or not at all.
func (u *Upgrader) writeBackup(kind, reason, by string) (b model.Backup, err error) {
	u.backups.Lock()
	defer u.backups.Unlock()
	dir, err := u.readyBackupDir()
	if err != nil {
		return b, err
	}
	now := time.Now().UTC()
	b = model.Backup{Name: kind + now.Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6]) + backupSuffix,
		Member: u.Self.ID, Made: now.Format(time.RFC3339), By: by, Reason: reason}
	path := filepath.Join(dir, b.Name)
	err = u.Store.View(func(v *store.View) error {
		return durable.Write(path, 0o600, func(w io.Writer) error { return u.fill(v, w, &b) })
	})
	if err != nil {
		return b, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return b, err
	}
	b.Size = info.Size()
	return b, u.pruneBackups(dir)
}

// fill writes the records of v, and completes what is said of them.
func (u *Upgrader) fill(v *store.View, w io.Writer, b *model.Backup) error {
	c, err := v.Cluster()
	if err != nil {
		return err
	}
	b.Version, b.Index = c.Version, v.Index()
	b.SHA256, err = v.WriteBackup(w, model.BackupHeader{
		Format: backup.Format, Product: u.Self.Version, Version: c.Version, Level: c.Level, Cluster: c.ID,
		Made: b.Made, By: b.By, Reason: b.Reason, Index: b.Index})
	return err
}

// readyBackupDir makes the directory, and removes what a crash left in it.
func (u *Upgrader) readyBackupDir() (string, error) {
	dir := filepath.Join(u.DataDir, backupDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := durable.SyncDir(u.DataDir); err != nil {
		return "", err
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	if err != nil {
		return "", err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// pruneBackups removes the oldest of those that nobody asked for.
func (u *Upgrader) pruneBackups(dir string) error {
	names, err := backupNames(dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, automatic) })
	for i := 0; i < len(names)-automaticKept; i++ {
		if err := durable.Remove(filepath.Join(dir, names[i])); err != nil {
			return err
		}
	}
	return nil
}

// backupNames are those in a directory, the oldest of each kind first.
func backupNames(dir string) (names []string, err error) {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		if isBackup(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// isBackup says whether a name is one that a backup may have, which is no way
// out of the directory either.
func isBackup(name string) bool {
	return (strings.HasPrefix(name, manual) || strings.HasPrefix(name, automatic)) && strings.HasSuffix(name, backupSuffix) && filepath.Base(name) == name
}

// ownBackups are those on this member. One that cannot be read is listed without
// what it should say of itself, and with the reason.
func (u *Upgrader) ownBackups() ([]model.Backup, error) {
	dir := filepath.Join(u.DataDir, backupDir)
	names, err := backupNames(dir)
	own := []model.Backup{}
	for _, name := range names {
		b, err := peekBackup(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			b.Reason = "it cannot be read: " + err.Error()
		}
		b.Name, b.Member = name, u.Self.ID
		own = append(own, b)
	}
	return own, err
}

func peekBackup(path string) (b model.Backup, err error) {
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return b, err
	}
	h, sum, err := backup.Peek(f, info.Size())
	return model.Backup{Made: h.Made, By: h.By, Version: h.Version, Index: h.Index, Size: info.Size(), SHA256: sum, Reason: h.Reason}, err
}

// Backups are those of all members. Who does not answer is named.
func (u *Upgrader) Backups(ctx context.Context) (model.BackupList, error) {
	p, err := u.look()
	if err != nil {
		return model.BackupList{}, err
	}
	list := model.BackupList{Backups: []model.Backup{}}
	var mu sync.Mutex // held for list
	list.Silent = append([]string{}, u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		var theirs []model.Backup
		err := u.Cluster.Call(ctx, m.ID, pathBackups, struct{}{}, &theirs)
		if err != nil && model.KindOf(err) != model.NotFound { // an earlier build has none
			return []string{m.Name}
		}
		mu.Lock()
		defer mu.Unlock()
		list.Backups = append(list.Backups, theirs...)
		return nil
	})...)
	slices.SortFunc(list.Backups, func(a, b model.Backup) int { return strings.Compare(b.Made+b.Name, a.Made+a.Name) })
	return list, nil
}

func (u *Upgrader) answerBackups(context.Context, json.RawMessage) (any, error) {
	return u.ownBackups()
}

// backupRef names a backup in a question to another member.
type backupRef struct {
	Name string `json:"name"`
}

// OpenBackup opens a backup for reading, through whichever member has it. The
// caller closes it.
func (u *Upgrader) OpenBackup(ctx context.Context, name string) (body io.ReadCloser, size int64, err error) {
	err = u.whoHas(ctx, name, func(member string) (err error) {
		if member == u.Self.ID {
			body, size, err = u.openOwn(name)
			return err
		}
		body, size, err = u.Cluster.Fetch(ctx, member, pathBackupFile, backupRef{Name: name})
		return err
	})
	return body, size, err
}

// DropBackup removes a backup on the member that has it.
func (u *Upgrader) DropBackup(ctx context.Context, name string) error {
	if isBackup(name) {
		if err := u.Cluster.Note(ctx, "asked for backup "+name+" to be removed"); err != nil {
			return err
		}
	}
	return u.whoHas(ctx, name, func(member string) error {
		if member == u.Self.ID {
			return u.dropOwn(name)
		}
		return u.ask(ctx, member, pathBackupDrop, backupRef{Name: name}, nil)
	})
}

// whoHas tries members, this one first, until one has the backup.
func (u *Upgrader) whoHas(ctx context.Context, name string, try func(member string) error) error {
	p, err := u.look()
	if err != nil {
		return err
	}
	if !isBackup(name) {
		return noBackup(name, nil)
	}
	ids := []string{u.Self.ID}
	for id := range p.members {
		if id != u.Self.ID {
			ids = append(ids, id)
		}
	}
	var silent []string
	for _, id := range ids {
		err := try(id)
		switch {
		case err == nil:
			return nil
		case model.KindOf(err) == model.NotFound:
		case id == u.Self.ID:
			return err
		default:
			silent = append(silent, fmt.Sprintf("%s could not be asked (%v)", p.members[id].Name, err))
		}
	}
	slices.Sort(silent)
	return noBackup(name, silent)
}

func noBackup(name string, silent []string) error {
	if len(silent) > 0 {
		return model.Problemf(model.Unavailable, "no member that answers has the backup %q: %s", name, strings.Join(silent, "; ")).About("backups", name)
	}
	return model.Problemf(model.NotFound, "there is no backup %q: `theseus backup list` names all", name).About("backups", name)
}

func (u *Upgrader) openOwn(name string) (io.ReadCloser, int64, error) {
	if !isBackup(name) {
		return nil, 0, noBackup(name, nil)
	}
	f, err := os.Open(filepath.Join(u.DataDir, backupDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, noBackup(name, nil)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (u *Upgrader) dropOwn(name string) error {
	path := filepath.Join(u.DataDir, backupDir, name)
	if _, err := os.Stat(path); !isBackup(name) || errors.Is(err, fs.ErrNotExist) {
		return noBackup(name, nil)
	}
	return durable.Remove(path)
}

func (u *Upgrader) answerBackupFile(_ context.Context, in json.RawMessage) (io.ReadCloser, int64, error) {
	var q backupRef
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, 0, model.Problemf(model.Malformed, "read which backup is asked for: %v", err)
	}
	return u.openOwn(q.Name)
}

func (u *Upgrader) answerBackupDrop(_ context.Context, in json.RawMessage) (any, error) {
	var q backupRef
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read which backup is to go: %v", err)
	}
	return struct{}{}, u.dropOwn(q.Name)
}

// unbacked: this run goes to another release line, where the way back is closed
// once it is completed, and no backup was made for it yet.
func unbacked(v sight) bool {
	if v.Level == 0 || v.u.Options.Backup == model.BackupNone || v.u.BackupRun == v.u.Runs {
		return false
	}
	switch policy.Decide(v.u.From, v.u.Archive.Version, policy.Options{}).Rule {
	case policy.Unreadable, policy.Downgrade, policy.Equal, policy.Patch:
		return false
	}
	return true
}

// backupDue: all that is missing before members go is the backup.
func backupDue(v sight) bool { return allChecked(v) && unbacked(v) && !overdue(v) }

// mayRoll: nothing is missing before members go.
func mayRoll(v sight) bool {
	return allChecked(v) && !unbacked(v) && len(unfinished(v.u, model.Expand)) == 0
}

// backUp makes the backup of a run, and notes it.
func (u *Upgrader) backUp(ctx context.Context, up *model.Upgrade) error {
	ctx, cancel := context.WithTimeout(ctx, backupLimit)
	defer cancel()
	b, err := u.backup(ctx, automatic, "before the upgrade to "+up.Archive.Version, byItself)
	if err != nil {
		return err
	}
	return ignoreConflict(u.propose(ctx, store.OpUpgradeBackup, store.UpgradeBackup{
		ID: up.ID, Run: up.Runs, Backup: b.Name, Note: u.Self.Name + ": made the backup " + b.Name}))
}

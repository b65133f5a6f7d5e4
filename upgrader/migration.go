package upgrader

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/jobs"
	"github.com/theseusd/theseus/upgrader/migrate"
)

// What a migration's executable is asked for, as its one argument.
const (
	verbRun      = "run"
	verbEstimate = "estimate" // how much there is to do; it may only read
	verbCheck    = "check"    // whether nothing is left; it may only read
)

// finalLimit is how long the final check of one migration may take.
const finalLimit = 10 * time.Minute

// migrationDir holds the executables of migrations at work, in the data directory.
const migrationDir = "migrations"

// Migrate does the job of a migration that a package has brought, from its
// checkpoint on.
func (u *Upgrader) Migrate(ctx context.Context, a *jobs.Attempt) error {
	j := a.Job()
	p, err := u.look()
	if err != nil {
		return err
	}
	up := p.byID(j.Migration.Upgrade)
	if up == nil || up.Archive.Migration(j.Action) == nil {
		return errors.New("the upgrade that brought this migration is not on record any more")
	}
	m := *up.Archive.Migration(j.Action)
	pace := newPace(u.Store, j)
	return u.launch(ctx, up, m, verbRun, model.Pass{Job: j.ID, Epoch: j.Epoch, Action: j.Action}, func(child *migrate.Process) error {
		child.Env = append(child.Env, "THESEUS_JOB="+j.ID, fmt.Sprintf("THESEUS_ATTEMPT=%d", j.Attempts+1))
		child.Deadline = m.Deadline
		if child.Deadline == 0 {
			child.Deadline = model.DefaultMigrationDeadline
		}
		child.Log = func(text string) { a.Log("%s", text) }
		child.Keep = func(ctx context.Context, c migrate.Checkpoint) error {
			if err := a.Save(ctx, c.Done, c.Total, c.Token); err != nil {
				return err
			}
			return pace.wait(ctx, c.Done)
		}
		return child.Run(ctx, a.Checkpoint())
	})
}

// tryMigration asks a migration of the staged upgrade something, on this member:
// it may read, and write nothing.
func (u *Upgrader) tryMigration(ctx context.Context, up *model.Upgrade, m model.Migration, verb string) (e migrate.Estimate, err error) {
	err = u.launch(ctx, up, m, verb, model.Pass{Action: m.Name, Reads: true}, func(child *migrate.Process) error {
		child.Log = func(text string) { u.Log.Debug("a migration says", "migration", m.Name, "verb", verb, "text", text) }
		child.Estimate = func(told migrate.Estimate) { e = told }
		return child.Run(ctx, "")
	})
	return e, err
}

// launch lays a migration's executable out, with a pass of its own, and has f run
// it. Nothing of both is left afterwards.
func (u *Upgrader) launch(ctx context.Context, up *model.Upgrade, m model.Migration, verb string, pass model.Pass, f func(*migrate.Process) error) error {
	dir, path, err := u.unpackMigration(ctx, up.Archive, m)
	if err != nil {
		return fmt.Errorf("unpack the migration %s: %w", m.Name, err)
	}
	secret, done := u.lend(pass)
	child := migrate.Process{Path: path, Args: []string{verb}, Dir: dir, Memory: m.Memory, Env: []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "LANG=C",
		"THESEUS_ENDPOINT=" + u.Self.API, "THESEUS_TOKEN=" + secret, "THESEUS_CA_CERT=" + u.CACert,
		"THESEUS_MIGRATION=" + m.Name, "THESEUS_PHASE=" + string(m.Phase), "THESEUS_FROM=" + up.From, "THESEUS_TO=" + up.Archive.Version,
	}}
	err = f(&child)
	done()
	return errors.Join(err, os.RemoveAll(dir))
}

// unpackMigration lays the executable of a migration out in a directory of its own.
// It runs only if it is the one that the members attested.
func (u *Upgrader) unpackMigration(ctx context.Context, a model.Archive, m model.Migration) (dir, path string, err error) {
	want := m.Images[u.Self.Platform]
	pkg, err := u.pkg(ctx, a)
	if err != nil {
		return "", "", err
	}
	from, _, err := pkg.Migration(m.Name, u.Self.Platform)
	if err != nil {
		return "", "", err
	}
	defer from.Close()
	parent := filepath.Join(u.DataDir, migrationDir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", "", err
	}
	if dir, err = os.MkdirTemp(parent, m.Name+"-"); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, m.Name)
	if err := writeExecutable(path, from, want); err != nil {
		return "", "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, path, nil
}

// writeExecutable is not synced: after a crash it is unpacked anew.
func writeExecutable(path string, from io.Reader, want string) error {
	// A child that is forked meanwhile would have it open for writing until its own
	// exec, and nobody could execute it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, sum), from)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if is := "sha256:" + hex.EncodeToString(sum.Sum(nil)); is != want {
		return fmt.Errorf("it is %s, and %q was attested", is, want)
	}
	return nil
}

// RemoveMigrations removes what a process that died has left of migrations. The
// daemon calls it before jobs run.
func (u *Upgrader) RemoveMigrations() error {
	return os.RemoveAll(filepath.Join(u.DataDir, migrationDir))
}

// lend gives out a pass to the API. It is good on this member until it is given back.
func (u *Upgrader) lend(p model.Pass) (secret string, giveBack func()) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails, says crypto/rand
	secret = base64.RawURLEncoding.EncodeToString(raw)
	key := sha256.Sum256([]byte(secret))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lent[key] = p
	return secret, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.lent, key)
	}
}

// Pass is what a migration at work on this member may do, by its secret. The API
// asks, at every request.
func (u *Upgrader) Pass(secret string) (model.Pass, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p, good := u.lent[sha256.Sum256([]byte(secret))]
	return p, good
}

// pace slows a migration down at its checkpoints, as the record of its job says.
type pace struct {
	store *store.Store
	job   string
	since time.Time // when it went on last
	done  int64     // and how far it was then
}

func newPace(s *store.Store, j model.Job) *pace {
	return &pace{store: s, job: j.ID, since: time.Now(), done: j.Done}
}

// wait returns when the migration may go on. What people change meanwhile counts.
func (p *pace) wait(ctx context.Context, done int64) error {
	worked, moved := time.Since(p.since), done-p.done
	for {
		changed := p.store.Changed()
		rest, err := p.rest(worked, moved)
		if err != nil {
			return err
		}
		if rest <= 0 {
			p.since, p.done = time.Now(), done
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-time.After(rest):
		}
	}
}

// rest is how much longer it has to rest after a piece of work.
func (p *pace) rest(worked time.Duration, moved int64) (time.Duration, error) {
	var j model.Job
	var up *model.Upgrade
	err := p.store.View(func(v *store.View) (err error) {
		if j, err = v.Job(p.job); err == nil {
			up, err = v.Upgrade()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	m := j.Migration
	due := worked
	switch {
	case m.Paused != "", up != nil && up.ID == m.Upgrade && up.Paused != nil:
		return time.Hour, nil // or until the record changes
	case m.Rate > 0:
		due = time.Duration(float64(moved) / float64(m.Rate) * float64(time.Second))
	case m.Gentle:
		due = 2 * worked
	}
	return due - time.Since(p.since), nil
}

// Carried is the job that runs a migration of the upgrade on record, for a person
// who asks for it by its name, and none if it is no such name.
func (u *Upgrader) Carried(name string) (c store.JobMigrate, known bool, err error) {
	p, err := u.look()
	if err != nil {
		return c, false, err
	}
	up := p.record()
	if up == nil || up.Archive.Migration(name) == nil {
		return c, false, nil
	}
	s := look(up, u.around(p))
	if !s.ripe(*up.Archive.Migration(name)) {
		return c, true, model.Problemf(model.Conflict, "%s is a migration of the upgrade to %s, and runs by itself %s: `theseus system upgrade progress` shows how far it is",
			name, up.Archive.Version, ripeness(up.Archive.Migration(name).Phase))
	}
	c = s.job(name)
	c.Again = true
	return c, true, nil
}

// ripeness is when the migrations of a phase run.
func ripeness(p model.MigrationPhase) string {
	switch p {
	case model.Expand:
		return "before the first member goes"
	case model.Migrate:
		return "when every member runs the new version"
	}
	return "after the completion"
}

// unfinished are the names of the migrations of these phases that an upgrade has
// yet to run.
func unfinished(up *model.Upgrade, phases ...model.MigrationPhase) (names []string) {
	for _, m := range up.Archive.Migrations {
		if hasPhase(m, phases) && !isMigrated(up, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// finalCheck has every migration that was done say that nothing is left to do. What
// is left is answered by name; its migration is then run again.
// It calls before ahead of each.
func (u *Upgrader) finalCheck(ctx context.Context, up *model.Upgrade, before func()) (left map[string]string, err error) {
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return nil, err
	}
	left = map[string]string{}
	for _, m := range up.Archive.Migrations {
		if m.Phase != model.Migrate {
			continue
		}
		before()
		if err := u.checkMigration(ctx, up, m); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			left[m.Name] = brief(err)
		}
	}
	return left, nil
}

func (u *Upgrader) checkMigration(ctx context.Context, up *model.Upgrade, m model.Migration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, finalLimit, fmt.Errorf("it took longer than %s", span(finalLimit)))
	defer cancel()
	_, err := u.tryMigration(ctx, up, m, verbCheck)
	return err
}

// remigrate notes what the final check found: those migrations are not done.
func (u *Upgrader) remigrate(ctx context.Context, up *model.Upgrade, left map[string]string) error {
	var names, said []string
	for _, m := range up.Archive.Migrations {
		if why, some := left[m.Name]; some {
			names = append(names, m.Name)
			said = append(said, m.Name+": "+why)
		}
	}
	return ignoreConflict(u.propose(ctx, store.OpUpgradeRemigrate, store.UpgradeRemigrate{
		ID: up.ID, Names: names, Note: "the final check found data left over: " + strings.Join(said, "; ")}))
}

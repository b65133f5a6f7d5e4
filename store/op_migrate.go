package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/model"
)

// What came with protocol level 2: migrations, and what they may write.

// JobMigrate adds the job of a migration that an upgrade has yet to run, MigrationJob
// says of which id. Again runs one once more that is done.
type JobMigrate struct {
	Upgrade string `json:"upgrade"`
	Action  string `json:"action"` // the name of the migration
	By      string `json:"by"`
	Reason  string `json:"reason"`
	Again   bool   `json:"again"`
	Holds   bool   `json:"holds"`
	Gentle  bool   `json:"gentle"`
	Rate    int64  `json:"rate"`
	Note    string `json:"note"` // for the transcript of the upgrade
}

// JobPace says how fast the migration of a job may go, from now on.
type JobPace struct {
	ID     string `json:"id"`
	Rate   int64  `json:"rate"`
	Paused string `json:"paused"`
	Note   string `json:"note"`
}

// JobWrite is a write of a job's runner. From one that is not the runner any more
// it is refused (S29).
type JobWrite struct {
	ID    string          `json:"id"`
	Epoch int             `json:"epoch"`
	Op    Op              `json:"op"` // one that changes profiles
	Body  json.RawMessage `json:"body"`
}

// UpgradeRemigrate says that the final check found data left over by migrations
// that were done: they are not.
type UpgradeRemigrate struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
	Note  string   `json:"note"`
}

// keyHeld is there while nobody but a migration writes; it names the job.
var keyHeld = []byte("held")

func migrateOps() map[Op]op {
	return map[Op]op{
		OpJobMigrate:       atLevel(2, migrateJob, JobMigrate{Upgrade: "sample"}),
		OpJobPace:          atLevel(2, paceJob, JobPace{ID: "sample"}),
		OpJobWrite:         atLevel(2, writeForJob, JobWrite{ID: "sample", Op: OpParamSet, Body: json.RawMessage("{}")}),
		OpUpgradeRemigrate: atLevel(2, remigrate, UpgradeRemigrate{ID: "sample"}),
	}
}

func migrateJob(e entry, c JobMigrate) error {
	return changeUpgrade(e, c.Upgrade, c.Note, func(u *model.Upgrade) error {
		m, done := u.Archive.Migration(c.Action), slices.Contains(u.Migrated, c.Action)
		switch {
		case m == nil, done && !c.Again, u.Job != "", u.Stop, u.Rollback != "":
			return ErrConflict
		}
		id := MigrationJob(c.Action, e.index)
		if err := makeJob(e, JobMake{ID: id, Action: c.Action, By: c.By, Reason: c.Reason}); errors.Is(err, ErrExists) {
			return ErrConflict
		} else if err != nil {
			return err
		}
		u.Job, u.Migrated = id, minus(u.Migrated, c.Action)
		return changeJob(e, id, func(j *model.Job) error {
			j.Migration = &model.JobMigration{Upgrade: u.ID, Phase: m.Phase, Holds: c.Holds, Gentle: c.Gentle, Rate: c.Rate}
			return nil
		})
	})
}

// MigrationJob is the id of the job that the command at an index made.
func MigrationJob(action string, index uint64) string { return fmt.Sprintf("%s-%d", action, index) }

func minus(names []string, name string) []string {
	rest := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
	if len(rest) == 0 {
		return nil // as it is read back
	}
	return rest
}

func paceJob(e entry, c JobPace) error {
	return changeJob(e, c.ID, func(j *model.Job) error {
		if j.Migration == nil || j.State.Over() {
			return ErrConflict
		}
		j.Migration.Rate, j.Migration.Paused = c.Rate, c.Paused
		tellJob(e, j, c.Note)
		return nil
	})
}

func writeForJob(e entry, c JobWrite) error {
	j, err := must[model.Job](e.tx, bucketJobs, []byte(c.ID))
	if errors.Is(err, ErrNotFound) {
		return ErrStale // it is over, and forgotten
	}
	if err != nil {
		return err
	}
	if j.Epoch != c.Epoch || j.State != model.JobRunning {
		return ErrStale
	}
	row, known := dataOps()[c.Op]
	if !known {
		return fmt.Errorf("this version does not know that a job may write %q", c.Op)
	}
	return row.apply(e, c.Body)
}

func remigrate(e entry, c UpgradeRemigrate) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Completed || u.Job != "" {
			return ErrConflict
		}
		for _, name := range c.Names {
			u.Migrated = minus(u.Migrated, name)
		}
		u.Again++
		return nil
	})
}

// migrationMoved keeps what follows from the state of a migration's job: whether
// others may write, and what the upgrade knows to be done.
func migrationMoved(e entry, j *model.Job) error {
	m := j.Migration
	if m == nil {
		return nil
	}
	_, u, err := place(e, m.Upgrade)
	switch {
	case errors.Is(err, ErrConflict): // the upgrade is gone
		return holdFor(e, j, false)
	case err != nil:
		return err
	}
	if err := holdFor(e, j, u.Paused != nil); err != nil || !j.State.Over() || u.Job != j.ID {
		return err
	}
	note := ""
	if j.State == model.JobDone {
		note = fmt.Sprintf("%s: done, %d items", j.Action, j.Done)
	}
	return changeUpgrade(e, m.Upgrade, note, func(u *model.Upgrade) error {
		u.Job = ""
		if j.State == model.JobDone {
			u.Migrated = append(minus(u.Migrated, j.Action), j.Action)
		}
		return nil
	})
}

// holdFor refuses the writes of others while a job is at work that holds them. One
// that is paused, by itself or with its upgrade, or waits for a person does not.
func holdFor(e entry, j *model.Job, paused bool) error {
	works := (j.State == model.JobWaiting || j.State == model.JobRunning) && j.Migration.Paused == "" && !paused
	if j.Migration.Holds && works {
		return put(e.tx, bucketRecords, keyHeld, j.ID)
	}
	id, held, err := get[string](e.tx, bucketRecords, keyHeld)
	if err != nil || !held || id != j.ID {
		return err
	}
	return e.tx.Bucket(bucketRecords).Delete(keyHeld)
}

// holdAgain is holdFor when an upgrade is paused or goes on.
func holdAgain(e entry, u *model.Upgrade) error {
	j, some, err := get[model.Job](e.tx, bucketJobs, []byte(u.Job))
	if err != nil || !some {
		return err
	}
	return holdFor(e, &j, u.Paused != nil)
}

// endMigration ends the job at work for an upgrade that goes back, stops or is
// started anew; with forget nothing counts as done any more.
func endMigration(e entry, u *model.Upgrade, forget bool, note string) error {
	id := u.Job
	u.Job = ""
	if forget {
		u.Migrated, u.Again = nil, 0
	}
	if id == "" {
		return nil
	}
	err := cancelJob(e, JobAsk{ID: id, Note: note})
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil // it is over
	}
	return err
}

// held refuses a write while a migration holds all but its own.
func held(row op) op {
	apply := row.apply
	row.apply = func(e entry, body json.RawMessage) error {
		if e.tx.Bucket(bucketRecords).Get(keyHeld) != nil {
			return ErrHeld
		}
		return apply(e, body)
	}
	return row
}

// unmigrated says whether an upgrade has data to migrate yet before it may be completed.
func unmigrated(u *model.Upgrade) bool {
	return slices.ContainsFunc(u.Archive.Migrations, func(m model.Migration) bool {
		return m.Phase == model.Migrate && !slices.Contains(u.Migrated, m.Name)
	})
}

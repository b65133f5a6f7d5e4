package upgrader

import (
	"context"
	"fmt"

	"github.com/theseusd/theseus/upgrader/jobs"
)

// The jobs that the upgrader can do.
const (
	ActionVerify = "verify" // every member
	ActionBackup = "backup" // on the member that leads
)

// Actions are the jobs that the upgrader can do, by name.
func (u *Upgrader) Actions() map[string]jobs.Action {
	return map[string]jobs.Action{ActionVerify: u.verifyJob, ActionBackup: u.backupJob, convertAction: u.convertJob}
}

// verifyJob is VerifyAll as a job: what it finds is in its log, and it fails.
func (u *Upgrader) verifyJob(ctx context.Context, a *jobs.Attempt) error {
	r, err := u.VerifyAll(ctx)
	if err != nil {
		return err
	}
	for _, m := range r.Members {
		if m.OK {
			a.Log("%s: wrote and read on %s", m.Name, m.Version)
		}
	}
	for _, f := range r.Findings {
		a.Log("%s", f)
	}
	if !r.OK {
		return fmt.Errorf("%d findings: the log of the job has them", len(r.Findings))
	}
	return a.Save(ctx, int64(len(r.Members)), int64(len(r.Members)), "")
}

func (u *Upgrader) backupJob(ctx context.Context, a *jobs.Attempt) error {
	b, err := u.Backup(ctx, "job "+a.Job().ID, a.Job().By)
	if err != nil {
		return err
	}
	a.Log("%s: made %s, %d bytes, as of index %d", u.Self.Name, b.Name, b.Size, b.Index)
	return a.Save(ctx, b.Size, b.Size, "")
}

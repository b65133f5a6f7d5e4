package upgrader

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/jobs"
)

// convertAction is the job that brings the store's own records to the form of
// this version.
const convertAction = "convert-records"

// convertLimit is how many records are converted by one command.
const convertLimit = 500

// convert has that job made once a completion has opened a conversion. One that
// failed waits for a person, as any job does.
func (u *Upgrader) convert(ctx context.Context, p picture) (bool, error) {
	if !u.Cluster.Leading() || store.Gate(store.OpStoreConvert, p.cluster) != nil {
		return false, nil
	}
	due := false
	err := u.Store.View(func(v *store.View) error {
		left, _, err := v.Unconverted(p.cluster)
		if err != nil || len(left) == 0 {
			return err
		}
		all, err := v.Jobs()
		due = !slices.ContainsFunc(all, func(j model.Job) bool { return j.Action == convertAction && !j.State.Over() })
		return err
	})
	if err != nil || !due {
		return false, err
	}
	err = u.propose(ctx, store.OpJobMake, store.JobMake{ID: fmt.Sprintf("%s-%d", convertAction, u.Store.Applied()), Action: convertAction,
		By: byItself, Reason: "cluster version " + p.cluster.Version})
	if errors.Is(err, store.ErrExists) {
		err = nil // another leader was faster
	}
	return true, err
}

// convertJob converts batch after batch. The record of how far that is stands
// beside the records, so that each is converted once.
func (u *Upgrader) convertJob(ctx context.Context, a *jobs.Attempt) error {
	for {
		left, total, err := u.unconverted()
		if err != nil || len(left) == 0 {
			return err
		}
		at := left[0]
		err = u.propose(ctx, store.OpStoreConvert, store.Convert{Name: at.Name, After: at.After, Limit: convertLimit})
		if err != nil {
			return fmt.Errorf("convert %s behind %d records: %w", at.Name, at.Count, err)
		}
		done := min(at.Count+convertLimit, total)
		if err := a.Save(ctx, done, total, fmt.Sprintf("%s %d", at.Name, done)); err != nil {
			return err
		}
	}
}

func (u *Upgrader) unconverted() (left []store.Converted, total int64, err error) {
	err = u.Store.View(func(v *store.View) error {
		cluster, err := v.Cluster()
		if err != nil {
			return err
		}
		left, total, err = v.Unconverted(cluster)
		return err
	})
	return left, total, err
}

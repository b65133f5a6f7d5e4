package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/e2e"
)

const (
	stageSize   = 256 * mib
	stageRounds = 3
	members     = 3
)

// staged is one archive's way onto every member.
type staged struct {
	whole  time.Duration // from the first byte sent to the answer
	spread time.Duration // from the verified spool to the last attestation
	three  time.Duration // the same bytes to three files, right after
	uses   []use
}

// cpu is what all members used.
func (s staged) cpu() (sum time.Duration) {
	for _, u := range s.uses {
		sum += u.cpu
	}
	return sum
}

// most is the largest of what f finds in each member's use.
func (s staged) most(f func(use) float64) (most float64) {
	for _, u := range s.uses {
		most = max(most, f(u))
	}
	return most
}

// stage sets the staging of 256 MiB beside writing the same bytes to three
// files at once, synced, in turns.
func stage(ctx context.Context, b *bench) error {
	file, err := b.fat(stageSize)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	var rounds []staged
	for range stageRounds {
		s, err := b.stageOnce(ctx, file)
		if err != nil {
			return err
		}
		if s.three, err = b.writeThree(file); err != nil {
			return err
		}
		rounds = append(rounds, s)
	}
	printStaged(b, rounds)
	return nil
}

// printStaged prints medians. The comparison is that of each round, too: what
// the machine did beside changes from one round to the next.
func printStaged(b *bench, rounds []staged) {
	of := func(f func(staged) time.Duration) float64 {
		return median(rounds, func(s staged) float64 { return f(s).Seconds() })
	}
	times := func(f func(staged) time.Duration) float64 {
		return median(rounds, func(s staged) float64 { return f(s).Seconds() / s.three.Seconds() })
	}
	three := func(s staged) time.Duration { return s.three }
	spread := func(s staged) time.Duration { return s.spread }
	whole := func(s staged) time.Duration { return s.whole }
	t := table{title: fmt.Sprintf("stage %d MiB on three members, medians of %d rounds in turns", stageSize/mib, stageRounds)}
	t.add("the same bytes to three files at once, each synced", "%.2f s", of(three))
	t.add("from the verified spool to the last attestation", "%.2f s", of(spread))
	t.aim("  times the three files", "%.1f", times(spread), 6)
	t.add("from the first byte sent to the answer 201", "%.2f s", of(whole))
	t.add("  times the three files", "%.1f", times(whole))
	t.add("CPU of the three members", "%.2f s", of(staged.cpu))
	for i := range members {
		t.aim(fmt.Sprintf("n%d wrote, times the archive", i+1), "%.2f",
			median(rounds, func(s staged) float64 { return float64(s.uses[i].written) / stageSize }), 1.2)
	}
	t.print(b)
}

// memory stages archives of two sizes: what they need must not grow with it.
func memory(ctx context.Context, b *bench) error {
	t := table{title: "peak of anonymous memory while staging, the member that needs most"}
	for _, size := range []int64{50 * mib, 500 * mib} {
		file, err := b.fat(size)
		if err != nil {
			return err
		}
		s, err := b.stageOnce(ctx, file)
		if err := errors.Join(err, os.Remove(file)); err != nil {
			return err
		}
		peak := s.most(func(u use) float64 { return float64(u.peak) / mib })
		t.aim(fmt.Sprintf("%d MiB", size/mib), "%.0f MiB", peak, 160)
	}
	t.print(b)
	return nil
}

// stageOnce stages file through a follower of a new cluster.
func (b *bench) stageOnce(ctx context.Context, file string) (s staged, err error) {
	err = b.with(ctx, members, func(c *e2e.Cluster) error {
		meters, err := startMeters(ctx, c)
		if err != nil {
			return err
		}
		s, err = upload(ctx, c, file)
		s.uses, err = stopMeters(meters, err)
		return err
	})
	return s, err
}

func upload(ctx context.Context, c *e2e.Cluster, file string) (s staged, err error) {
	followers, err := c.Followers(ctx)
	if err != nil {
		return s, err
	}
	receiver := followers[0]
	start := time.Now()
	a, err := c.Stage(ctx, receiver, file)
	if err != nil {
		return s, err
	}
	s.whole = time.Since(start)
	if a.Status != http.StatusCreated {
		return s, fmt.Errorf("answer %d: %s", a.Status, a.Body)
	}
	verified, err := loggedAt(receiver.Log(), "verified an upload")
	if err != nil {
		return s, err
	}
	status, err := c.Status(ctx, receiver)
	if err != nil {
		return s, err
	}
	attested, err := toldAt(status.Transcript, "attested their own copies")
	s.spread = attested.Sub(verified)
	return s, err
}

// writeThree writes the bytes of file to three files at once.
func (b *bench) writeThree(file string) (time.Duration, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(b.dir, "bare-")
	if err != nil {
		return 0, err
	}
	var g errgroup.Group
	start := time.Now()
	for i := range members {
		g.Go(func() error { return writeSynced(filepath.Join(dir, fmt.Sprint(i)), content) })
	}
	err = g.Wait()
	return time.Since(start), errors.Join(err, os.RemoveAll(dir))
}

func writeSynced(path string, content []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/e2e"
)

// staged is one archive's way onto every member, as its client saw it.
type staged struct {
	size  int64
	whole time.Duration // from the first byte sent to the answer
	after time.Duration // from the last byte sent to the answer
	uses  []use
}

// stage sets the staging of 256 MiB beside writing the same bytes to three
// files at once, synced.
func stage(ctx context.Context, b *bench) error {
	file, err := b.fat(256 * mib)
	if err != nil {
		return err
	}
	bare, err := b.writeThree(ctx, file)
	if err != nil {
		return err
	}
	s, err := b.stageOnce(ctx, file)
	if err != nil {
		return err
	}
	var cpu time.Duration
	for _, u := range s.uses {
		cpu += u.cpu
	}
	fmt.Fprintf(b, "\nstage %d MiB on three members\n", s.size/mib)
	fmt.Fprintf(b, "  the same bytes to three files at once, synced   %6.2f s\n", bare.Seconds())
	fmt.Fprintf(b, "  from the first byte sent to the answer          %6.2f s, %.1f times as long\n", s.whole.Seconds(), s.whole.Seconds()/bare.Seconds())
	fmt.Fprintf(b, "  from the last byte sent to the last attestation %6.2f s, %.1f times as long\n", s.after.Seconds(), s.after.Seconds()/bare.Seconds())
	fmt.Fprintf(b, "  CPU of the three members                        %6.2f s\n", cpu.Seconds())
	for i, u := range s.uses {
		fmt.Fprintf(b, "  n%d wrote %.2f times the archive's size\n", i+1, float64(u.written)/float64(s.size))
	}
	return nil
}

// memory stages archives of two sizes: what they need must not grow with it.
func memory(ctx context.Context, b *bench) error {
	fmt.Fprintln(b, "\npeak of anonymous memory while staging")
	for _, size := range []int64{50 * mib, 500 * mib} {
		file, err := b.fat(size)
		if err != nil {
			return err
		}
		s, err := b.stageOnce(ctx, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "  %4d MiB:", s.size/mib)
		for i, u := range s.uses {
			fmt.Fprintf(b, "  n%d %d MiB", i+1, u.peak/mib)
		}
		fmt.Fprintln(b)
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// stageOnce stages file through a follower of a new cluster.
func (b *bench) stageOnce(ctx context.Context, file string) (s staged, err error) {
	err = b.with(ctx, 3, func(c *e2e.Cluster) error {
		var meters []*meter
		for _, m := range c.Members {
			t, err := startMeter(ctx, m)
			if err != nil {
				return err
			}
			meters = append(meters, t)
		}
		if s, err = upload(ctx, c, file); err != nil {
			return err
		}
		for _, t := range meters {
			u, err := t.Stop()
			if err != nil {
				return err
			}
			s.uses = append(s.uses, u)
		}
		return nil
	})
	return s, err
}

func upload(ctx context.Context, c *e2e.Cluster, file string) (s staged, err error) {
	followers, err := c.Followers(ctx)
	if err != nil {
		return s, err
	}
	f, err := os.Open(file)
	if err != nil {
		return s, err
	}
	defer f.Close()
	body := &lastRead{r: f}
	start := time.Now()
	a, err := c.Do(ctx, followers[0], e2e.Request{Method: "POST", Path: "/api/v3/system/upgrade/stage", Body: body, Size: -1})
	if err != nil {
		return s, err
	}
	if a.Status != http.StatusCreated {
		return s, fmt.Errorf("answer %d: %s", a.Status, a.Body)
	}
	return staged{size: body.n, whole: time.Since(start), after: time.Since(body.at)}, nil
}

// lastRead remembers when its last bytes were read.
type lastRead struct {
	r  io.Reader
	n  int64
	at time.Time
}

func (l *lastRead) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.n, l.at = l.n+int64(n), time.Now()
	return n, err
}

// writeThree writes as many bytes as file has to three files at once.
func (b *bench) writeThree(ctx context.Context, file string) (time.Duration, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	piece := make([]byte, mib)
	rand.Read(piece)
	g, _ := errgroup.WithContext(ctx)
	start := time.Now()
	for i := range 3 {
		g.Go(func() error { return writeSynced(filepath.Join(b.dir, fmt.Sprintf("bare-%d", i)), piece, info.Size()) })
	}
	err = g.Wait()
	took := time.Since(start)
	for i := range 3 {
		err = errors.Join(err, os.Remove(filepath.Join(b.dir, fmt.Sprintf("bare-%d", i))))
	}
	return took, err
}

func writeSynced(path string, piece []byte, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for size > 0 && err == nil {
		n := min(size, int64(len(piece)))
		_, err = f.Write(piece[:n])
		size -= n
	}
	return errors.Join(err, f.Sync(), f.Close())
}

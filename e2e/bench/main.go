// Command bench measures what Theseus claims of its speed, on real members, each
// claim beside something bare that ran on the same machine in the same run. What
// misses its aim is marked and no error: numbers move with the machine. It is an
// error when something could not be measured.
//
//	bench          everything
//	bench NAME     one of: stage, memory, rollout, reads
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/theseusd/theseus/e2e"
)

// limit is for the whole, building included.
const limit = 6 * time.Minute

// measures are all there are, in the order in which they run.
var measures = []struct {
	name string
	run  func(context.Context, *bench) error
}{
	{"stage", stage},
	{"memory", memory},
	{"rollout", rollout},
	{"reads", reads},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareArg {
		exit(serveBare(os.Stdin, os.Stdout))
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Stdout, os.Args[1:]))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, w io.Writer, names []string) (err error) {
	dir, err := os.MkdirTemp("", "theseus-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(w, "%d cores, load %s; each number is of this run\n", runtime.NumCPU(), load())
	b, err := newBench(ctx, w, dir)
	if err != nil {
		return err
	}
	for _, m := range measures {
		if len(names) > 0 && !slices.Contains(names, m.name) {
			continue
		}
		if err := m.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// bench is what the measures share.
type bench struct {
	io.Writer
	dir     string
	old     string // directory of the binaries of 1.0.0
	archive string // unsigned, of 1.1.0
}

func newBench(ctx context.Context, w io.Writer, dir string) (*bench, error) {
	shop, err := e2e.NewWorkshop(dir)
	if err != nil {
		return nil, err
	}
	b := &bench{Writer: w, dir: dir}
	if b.old, err = shop.Binaries(ctx, e2e.Build{Version: "1.0.0"}); err != nil {
		return nil, err
	}
	next, err := shop.Binaries(ctx, e2e.Build{Version: "1.1.0", Tags: "era"})
	if err != nil {
		return nil, err
	}
	b.archive, err = shop.Package(ctx, filepath.Join(b.old, "theseus"), "1.1.0", next, "")
	return b, err
}

// with runs do on a cluster of its own.
func (b *bench) with(ctx context.Context, size int, do func(*e2e.Cluster) error) (err error) {
	dir, err := os.MkdirTemp(b.dir, "cluster-")
	if err != nil {
		return err
	}
	c, err := e2e.Start(ctx, e2e.Plan{Dir: dir, Bin: b.old, Size: size})
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, c.Close(end), os.RemoveAll(dir))
	}()
	if err != nil {
		return err
	}
	return do(c)
}

// fat is the archive filled up to size bytes, less than a KiB more.
func (b *bench) fat(size int64) (file string, err error) {
	info, err := os.Stat(b.archive)
	if err != nil {
		return "", err
	}
	file = filepath.Join(b.dir, fmt.Sprintf("fat-%d.zip", size))
	return file, e2e.Fatten(b.archive, file, size-info.Size())
}

const mib = 1 << 20

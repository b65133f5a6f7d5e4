package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/theseusd/theseus/model"
)

// manyUpgrades in a row on the same processes: whatever an upgrade leaves behind adds up.
const manyUpgrades = 20

// settledAfter upgrades everything that is there only once is there: pools,
// caches, the records of the first round.
const settledAfter = 5

// footprint is what a member takes of its machine.
type footprint struct {
	pid, descriptors int
	anonymous        int64 // bytes of memory that are its own
	data             int64 // bytes in its data directory
	beside           int64 // files beside its binary
}

func TestTwentyUpgradesInARowLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	var settled map[string]footprint
	for i := range manyUpgrades {
		b := Build{Version: fmt.Sprintf("1.0.%d", i+1)}
		if i%2 == 0 {
			b.Tags = "era" // the other version's code
		}
		ctx := within(t)
		m := followers(t, c)[i%2]
		check(t, c.Staged(ctx, m, archive(t, b)))
		check(t, c.Run(ctx, m, `{"probation":"0s"}`))
		if end := followed(t, c); end.Status != string(model.Finished) {
			t.Fatalf("upgrade %d ended %+v", i+1, end)
		}
		if i+1 == settledAfter {
			settled = footprints(t, c)
		}
	}
	for name, is := range footprints(t, c) {
		was := settled[name]
		t.Logf("%s: %+v, then %+v", name, was, is)
		if is.pid != was.pid {
			t.Errorf("%s: process %d became %d", name, was.pid, is.pid)
		}
		// Connections come and go; what each upgrade leaves open shows as one for each.
		if is.descriptors > was.descriptors+manyUpgrades-settledAfter-3 {
			t.Errorf("%s: %d open descriptors, after %d upgrades %d", name, is.descriptors, settledAfter, was.descriptors)
		}
		if is.beside != was.beside {
			t.Errorf("%s: %d files beside its binary, after %d upgrades %d", name, is.beside, settledAfter, was.beside)
		}
		if is.anonymous > was.anonymous+16<<20 {
			t.Errorf("%s: %d bytes of memory, after %d upgrades %d", name, is.anonymous, settledAfter, was.anonymous)
		}
		if is.data > was.data+was.data/2 {
			t.Errorf("%s: %d bytes of data, after %d upgrades %d", name, is.data, settledAfter, was.data)
		}
	}
}

func footprints(t *testing.T, c *Cluster) map[string]footprint {
	t.Helper()
	all := map[string]footprint{}
	for _, m := range c.Members {
		p, runs := m.Daemon()
		if !runs {
			t.Fatalf("%s does not run", m.Name)
		}
		proc := filepath.Join("/proc", strconv.Itoa(p.PID))
		fds := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(proc, "fd")))
		all[m.Name] = footprint{pid: p.PID, descriptors: len(fds), anonymous: anonymous(t, proc),
			data: taken(t, m.Data()), beside: beside(t, m)}
	}
	return all
}

// anonymous is RssAnon of proc(5), in bytes.
func anonymous(t *testing.T, proc string) int64 {
	t.Helper()
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(filepath.Join(proc, "status"))))) {
		if rest, found := strings.CutPrefix(line, "RssAnon:"); found {
			return must[int64](t)(strconv.ParseInt(strings.Fields(rest)[0], 10, 64)) << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

// taken is the size of all files below dir.
func taken(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	}))
	return bytes
}

// beside counts the files in the directory of m's binary.
func beside(t *testing.T, m *Member) int64 {
	t.Helper()
	return int64(len(must[[]os.DirEntry](t)(os.ReadDir(m.Bin()))))
}

package upgrader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// trial is what became of a trial run on one member.
type trial struct {
	Findings []string      `json:"findings"` // none: the executable can take over
	Replayed int           `json:"replayed"` // commands since the upgrade was staged
	Note     string        `json:"note"`     // why not more was tried, or ""
	Took     time.Duration `json:"took"`
}

// check is the trial run: everything slow and everything that can go wrong,
// on every member, before the first one changes anything.
func (u *Upgrader) check(ctx context.Context, up *model.Upgrade) error {
	t := u.examine(ctx, up)
	note := fmt.Sprintf("%s: passed its trial run, %s", u.Self.Name, t.told())
	if len(t.Findings) > 0 {
		note = fmt.Sprintf("%s: failed its trial run, %d findings", u.Self.Name, len(t.Findings))
	}
	return u.propose(ctx, store.OpUpgradeChecked, store.UpgradeChecked{
		ID: up.ID, Run: up.Runs, Member: u.Self.ID, Findings: t.Findings, Note: note})
}

// told is what a trial run tried beside reading the records.
func (t trial) told() string {
	text := fmt.Sprintf("commands replayed: %d", t.Replayed)
	if t.Note != "" {
		text += " (" + t.Note + ")"
	}
	return text
}

// examine is the trial run of what an upgrade brings.
func (u *Upgrader) examine(ctx context.Context, up *model.Upgrade) trial {
	if u.Self.Image == up.Archive.Images[u.Self.Platform] {
		return trial{Note: "it runs this version already"} // nothing of it will change
	}
	if found := words(u.Own.Prerequisites(ctx, u.DataDir, 0)); len(found) > 0 {
		return trial{Findings: found}
	}
	next, err := u.extract(ctx, up.Archive)
	if err != nil {
		return trial{Findings: []string{err.Error()}}
	}
	t, err := u.tryOut(ctx, next, up.ID)
	if err != nil {
		t.Findings = append(t.Findings, err.Error())
	}
	return t
}

func words(findings []binary.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return all
}

// tryOut runs an executable's self-check on copies of this member's records and
// compares what it makes of them with what this version made. The error is of
// this member: the executable could not be tried.
func (u *Upgrader) tryOut(ctx context.Context, executable, upgrade string) (t trial, err error) {
	u.trials.Lock()
	defer u.trials.Unlock()
	began := time.Now()
	dir, err := os.MkdirTemp(u.DataDir, trialPrefix)
	if err != nil {
		return t, fmt.Errorf("make room for the trial run: %w", err)
	}
	defer os.RemoveAll(dir)
	b := bench{Upgrader: u, dir: dir, executable: executable}
	if err := b.layOut(upgrade); err != nil {
		return t, fmt.Errorf("make ready for the trial run: %w", err)
	}
	t = b.run(ctx)
	t.Took = time.Since(began)
	return t, ctx.Err()
}

const (
	// selfCheckLimit is how long a self-check may take on little state, and
	// checkedIn a second how many bytes of records are to be gone through.
	selfCheckLimit = 60 * time.Second
	checkedIn      = 4 << 20
	// replayLimit bounds the commands that are replayed, in bytes.
	replayLimit = 32 << 20
)

// selfCheckWithin grows with the state.
func selfCheckWithin(size int64) time.Duration {
	return selfCheckLimit + time.Duration(size/checkedIn)*time.Second
}

// bench is what one trial run is made on.
type bench struct {
	*Upgrader
	dir        string
	executable string
	limit      time.Duration // for one self-check

	cluster  model.Cluster
	index    uint64 // of the records as they are now,
	digest   string // and theirs
	commands *store.Commands
	note     string // why not everything since the staging is replayed
}

// The files of a trial run.
const (
	fileNow      = "records.db"   // the records as they are
	fileStaged   = "staged.db"    // as they were when the upgrade was staged
	fileBlank    = "blank.db"     // none at all
	fileCommands = "commands"     // from staged to now, and samples
	fileDrill    = "drill"        // a cluster's life, from none at all
	fileOwn      = "reference.db" // what this version works on
)

func (b *bench) path(file string) string { return filepath.Join(b.dir, file) }

// layOut makes the copies.
func (b *bench) layOut(upgrade string) error {
	if err := b.Store.Copy(b.path(fileNow)); err != nil {
		return err
	}
	info, err := os.Stat(b.path(fileNow))
	if err != nil {
		return err
	}
	b.limit = selfCheckWithin(info.Size())
	if err := b.readNow(); err != nil {
		return err
	}
	b.note, err = b.layStaged(upgrade)
	return err
}

func (b *bench) readNow() error {
	return onCopy(b.path(fileNow), func(c *store.Copy) (err error) {
		if b.digest, err = c.Digest(); err != nil {
			return err
		}
		return c.View(func(v *store.View) error {
			b.index = v.Index()
			b.cluster, err = v.Cluster()
			return err
		})
	})
}

func onCopy(path string, do func(*store.Copy) error) error {
	c, err := store.OpenCopy(path)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

// layStaged lays out the copy that was kept when the upgrade was staged and the
// commands since. Where that cannot be it is the records as they are, with none.
func (b *bench) layStaged(upgrade string) (note string, err error) {
	after, err := b.index, copyFile(b.copyOf(upgrade), b.path(fileStaged))
	if err == nil {
		after, err = indexOf(b.path(fileStaged))
	}
	if err == nil && after <= b.index {
		b.commands, err = b.Store.CommandsSince(after, b.index, replayLimit)
	}
	if b.commands != nil {
		return "", nil
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		note = "no copy was kept when it was staged"
	case err != nil:
		note = err.Error()
	default:
		note = "the copy that was kept is newer than the records"
	}
	b.commands = &store.Commands{After: b.index}
	return note, copyFile(b.path(fileNow), b.path(fileStaged))
}

func indexOf(path string) (index uint64, err error) {
	err = onCopy(path, func(c *store.Copy) error {
		index, err = c.Index()
		return err
	})
	return index, err
}

// copyFile copies in the kernel, which shares the blocks where it can.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// run has the executable read the records as they are, then apply what this
// version applied since the staging, then live through the drill.
func (b *bench) run(ctx context.Context) trial {
	r, err := b.selfCheck(ctx, fileNow, "")
	if err != nil {
		return trial{Findings: []string{err.Error()}}
	}
	found := append(r.Findings, b.unfit(r)...)
	if len(found) == 0 && r.Digest != b.digest {
		found = append(found, fmt.Sprintf("%s reads other records than %s: %s, not %s", r.Version, b.Self.Version, r.Digest, b.digest))
	}
	if len(found) > 0 {
		return trial{Findings: found}
	}
	if !r.Replays() {
		return trial{Note: fmt.Sprintf("records only, no replay: the self-check of %s is an earlier one", r.Version)}
	}
	t, err := b.replay(ctx)
	if err == nil && len(t.Findings) == 0 {
		t.Findings, err = b.drill(ctx)
	}
	if err != nil {
		t.Findings = append(t.Findings, err.Error())
	}
	return t
}

func (b *bench) selfCheck(ctx context.Context, records, commands string) (binary.Report, error) {
	args := []string{"--records", b.path(records)}
	if commands != "" {
		args = append(args, "--commands", b.path(commands))
	}
	args = append(append(args, "--"), b.Launch.Argv[1:]...)
	r, err := binary.SelfCheck(ctx, b.executable, args, b.limit)
	if err == nil {
		err = b.Own.Tried(r) // the watcher of its start goes by that
	}
	return r, err
}

// unfit is what the executable lacks, by its own report.
func (b *bench) unfit(r binary.Report) (found []string) {
	if r.Platform != b.Self.Platform {
		found = append(found, fmt.Sprintf("%s is built for %s, this member is %s", r.Version, r.Platform, b.Self.Platform))
	}
	if !r.Replays() {
		return found
	}
	have, err := binary.EffectiveCapabilities()
	if err != nil {
		return append(found, err.Error())
	}
	if lost := have &^ r.Capabilities; lost != 0 {
		found = append(found, fmt.Sprintf("%s would run without %s", r.Version, binary.CapabilityNames(lost)))
	}
	return found
}

// replay compares the records that this member has now with what the executable
// makes of those at the staging and the log since, and then what both make of
// one command of every type that may be in the log.
func (b *bench) replay(ctx context.Context) (trial, error) {
	samples := store.Samples(b.cluster)
	if err := b.commands.Sampled(b.index, samples).WriteFile(b.path(fileCommands)); err != nil {
		return trial{}, err
	}
	if err := copyFile(b.path(fileNow), b.path(fileOwn)); err != nil {
		return trial{}, err
	}
	want, err := b.reference((&store.Commands{After: b.index}).Sampled(b.index, samples))
	if err != nil {
		return trial{}, err
	}
	r, err := b.selfCheck(ctx, fileStaged, fileCommands)
	t := trial{Replayed: r.Replayed, Note: b.note, Findings: r.Findings}
	switch {
	case err != nil || len(t.Findings) > 0:
	case r.Replayed != b.commands.Count():
		t.Findings = []string{fmt.Sprintf("%s replayed %d commands of %d", r.Version, r.Replayed, b.commands.Count())}
	case r.Digest != want.Digest:
		t.Findings = []string{fmt.Sprintf("%s makes other records than %s of the commands from index %d to %d: %s, not %s",
			r.Version, b.Self.Version, b.commands.After+1, b.index, r.Digest, want.Digest)}
	case r.Tried != want.Tried:
		t.Findings = []string{fmt.Sprintf("%s makes other records than %s of one command of every type: %s, not %s",
			r.Version, b.Self.Version, r.Tried, want.Tried)}
	}
	return t, err
}

// drill compares what both make of a cluster's whole life, from no records at all.
func (b *bench) drill(ctx context.Context) (findings []string, err error) {
	life := store.Drill(b.cluster)
	if err := life.WriteFile(b.path(fileDrill)); err != nil {
		return nil, err
	}
	for _, file := range []string{fileBlank, fileOwn} {
		if err := blank(b.path(file)); err != nil {
			return nil, err
		}
	}
	want, err := b.reference(life)
	if err != nil {
		return nil, err
	}
	r, err := b.selfCheck(ctx, fileBlank, fileDrill)
	if err != nil || len(r.Findings) > 0 {
		return r.Findings, err
	}
	for i := range want.Steps {
		if i >= len(r.Steps) || r.Steps[i] != want.Steps[i] {
			return []string{fmt.Sprintf("%s makes other records than %s of %s, in a drill of a cluster's life",
				r.Version, b.Self.Version, life.Name(i))}, nil
		}
	}
	return nil, nil
}

func blank(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	c, err := store.NewCopy(path)
	if err != nil {
		return err
	}
	return c.Close()
}

// reference is what this version makes of commands.
func (b *bench) reference(commands *store.Commands) (r store.Replayed, err error) {
	err = onCopy(b.path(fileOwn), func(c *store.Copy) error {
		r, err = c.Replay(commands)
		return err
	})
	if err != nil {
		err = fmt.Errorf("this version itself: %w", err)
	}
	return r, err
}

// trialPrefix begins the name of the directory that a trial run works in.
const trialPrefix = "self-check-"

// removeTrials removes what a trial run that was killed left behind.
func (u *Upgrader) removeTrials() error {
	left, err := filepath.Glob(filepath.Join(u.DataDir, trialPrefix+"*"))
	if err != nil {
		return fmt.Errorf("look for what a trial run left: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what a trial run left: %w", err)
		}
	}
	return nil
}

// The copy of the records as of the staging is one file in the data directory.
const (
	stagedPrefix = "staged-"
	stagedSuffix = ".db"
)

func (u *Upgrader) copyOf(upgrade string) string {
	return filepath.Join(u.DataDir, stagedPrefix+filepath.Base(upgrade)+stagedSuffix)
}

// keepCopy copies the records when an upgrade is first seen to be staged, and
// removes the copy with the upgrade. Without one the trial run replays less, and
// says so: that is no reason to stand still.
func (u *Upgrader) keepCopy(_ context.Context, p picture) error {
	want := ""
	if p.upgrade != nil {
		want = u.copyOf(p.upgrade.ID)
	}
	if u.copied != nil && *u.copied == want {
		return nil
	}
	if err := u.removeCopies(want); err != nil {
		return err
	}
	u.copied = &want
	if want == "" || p.upgrade.Phase != model.Staged && p.upgrade.Phase != model.Checking {
		return nil
	}
	if _, err := os.Stat(want); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	u.alive(u.trialsLimit())
	if err := u.Store.Copy(want); err != nil {
		u.Log.Warn("keep a copy of the records for the trial run", "error", err)
	}
	return nil
}

func (u *Upgrader) removeCopies(but string) error {
	entries, err := os.ReadDir(u.DataDir)
	if err != nil {
		return fmt.Errorf("look for copies of the records: %w", err)
	}
	for _, e := range entries {
		// One that a crash left half written has a dot before its name.
		mine := strings.HasPrefix(strings.TrimPrefix(e.Name(), "."), stagedPrefix)
		path := filepath.Join(u.DataDir, e.Name())
		if !mine || path == but {
			continue
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("remove a copy of the records: %w", err)
		}
	}
	return nil
}

// trialRoom is how many bytes the copy that is kept and those of a trial run take.
func (u *Upgrader) trialRoom() uint64 {
	size, err := u.Store.RecordsSize()
	if err != nil {
		return 0 // the store is closing, or finds out itself what is wrong
	}
	return 4 * uint64(size)
}

// extract unpacks this member's new binary beside the old one. When the archive
// was cleared away meanwhile, a peer's own executable does as well.
func (u *Upgrader) extract(ctx context.Context, a model.Archive) (string, error) {
	pkg, err := u.pkg(ctx, a)
	if errors.Is(err, store.ErrNotFound) {
		return u.fetch(ctx, a.Images[u.Self.Platform])
	}
	if err != nil {
		return "", err
	}
	bin, _, err := pkg.Binary(u.Self.Platform)
	if err != nil {
		return "", fmt.Errorf("find the binary for %s: %w", u.Self.Platform, err)
	}
	defer bin.Close()
	return u.Own.Extract(ctx, bin, a.Images[u.Self.Platform])
}

package upgrader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/internal/crash"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

const (
	selfCheckLimit = 60 * time.Second
	drainLimit     = 10 * time.Second
	verifyLimit    = 10 * time.Second
)

// effect does what Next asked for beside proposing. Each may be done again; the
// record, not this process, remembers whether it is still wanted.
func (u *Upgrader) effect(ctx context.Context, a Action, p picture) error {
	switch a.Do {
	case Check:
		return u.check(ctx, p.upgrade)
	case Arm:
		return u.arm(p.upgrade)
	case Drain:
		return u.drain(ctx, p.upgrade)
	case Swap:
		return u.swap(ctx, p.upgrade)
	case Survey:
		return u.survey(ctx, p)
	case HandOver:
		return u.handOver(ctx, a.To)
	case Ping:
		return u.ping(ctx, a.To)
	case Verify:
		return u.verify(ctx, p.upgrade)
	}
	return fmt.Errorf("do %q: not an effect", a.Do)
}

// check is the trial run: everything slow and everything that can go wrong,
// on every member, before the first one changes anything.
func (u *Upgrader) check(ctx context.Context, up *model.Upgrade) error {
	findings := u.findings(ctx, up)
	note := u.Self.Name + ": passed its trial run"
	if len(findings) > 0 {
		note = fmt.Sprintf("%s: failed its trial run, %d findings", u.Self.Name, len(findings))
	}
	return u.propose(ctx, store.OpUpgradeChecked, store.UpgradeChecked{
		ID: up.ID, Run: up.Runs, Member: u.Self.ID, Findings: findings, Note: note})
}

func (u *Upgrader) findings(ctx context.Context, up *model.Upgrade) []string {
	if u.Self.Image == up.Archive.Images[u.Self.Platform] {
		return nil // it runs the target: nothing of it will change
	}
	if found := words(u.Own.Prerequisites(ctx, u.DataDir, 0)); len(found) > 0 {
		return found
	}
	next, err := u.extract(ctx, up.Archive)
	if err != nil {
		return []string{err.Error()}
	}
	return u.tryOut(ctx, next)
}

func words(findings []binary.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return all
}

// tryOut runs the new binary's self-check on a copy of this member's records
// and compares what it read with what this version reads.
func (u *Upgrader) tryOut(ctx context.Context, next string) []string {
	dir, err := os.MkdirTemp(u.DataDir, trialPrefix)
	if err != nil {
		return []string{fmt.Sprintf("make room for the trial run: %v", err)}
	}
	defer os.RemoveAll(dir)
	records := filepath.Join(dir, "records.db")
	if err := u.Store.Copy(records); err != nil {
		return []string{fmt.Sprintf("copy the records for the trial run: %v", err)}
	}
	want, err := copyDigest(records)
	if err != nil {
		return []string{fmt.Sprintf("read the copy of the records: %v", err)}
	}
	args := append([]string{"--records", records, "--"}, u.Launch.Argv[1:]...)
	report, err := binary.SelfCheck(ctx, next, args, selfCheckLimit)
	if err != nil {
		return []string{err.Error()}
	}
	if len(report.Findings) == 0 && report.Digest != want {
		return []string{fmt.Sprintf("the new binary reads other records than this one: %s, not %s", report.Digest, want)}
	}
	return report.Findings
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

func copyDigest(path string) (digest string, err error) {
	c, err := store.OpenCopy(path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	err = c.View(func(v *store.View) error {
		digest, err = v.Digest()
		return err
	})
	return digest, err
}

// extract unpacks this member's new binary beside the old one.
func (u *Upgrader) extract(ctx context.Context, a model.Archive) (string, error) {
	pkg, err := u.pkg(a)
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

// arm makes everything ready while serving. If that cannot be, the attempt is
// over before it began.
func (u *Upgrader) arm(up *model.Upgrade) error {
	err := u.Own.Arm(binary.Plan{
		Upgrade: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, DataDir: u.DataDir,
		Image: up.Archive.Images[u.Self.Platform], Deadline: up.Options.Deadline, Start: u.Launch,
	})
	if err == nil {
		return nil
	}
	return u.leaveTurn(up, model.Waiting, model.Broken, fmt.Sprintf("make ready to swap: %v", err))
}

// leaveTurn writes that this member's attempt ended early, in one of its steps.
func (u *Upgrader) leaveTurn(up *model.Upgrade, from, to model.Step, reason string) error {
	return u.propose(context.Background(), store.OpTurnStep, store.TurnStep{
		ID: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, From: from, To: to, Boot: u.Self.Boot,
		Reason: reason, Note: fmt.Sprintf("%s: %s: %s", u.Self.Name, to, reason)})
}

// drain asks clients to come back on new connections, waits until none would
// lose anything, and writes the last word this member can write.
func (u *Upgrader) drain(ctx context.Context, up *model.Upgrade) error {
	u.Process.LameDuck()
	quiet, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if err := u.Process.Quiet(quiet); err != nil {
		u.Log.Warn("drain", "error", err) // the limit is the rule: it goes all the same
	}
	err := crash.Point("leave", func() error {
		return u.propose(ctx, store.OpTurnStep, store.TurnStep{
			ID: up.ID, Member: u.Self.ID, Attempt: up.Turn.Attempt, From: model.Draining, To: model.Leaving,
			Boot: u.Self.Boot, Note: u.Self.Name + ": leaving, back within " + span(up.Options.Deadline)})
	})
	if err != nil {
		u.Process.Recover()
		return errors.Join(err, u.leaveTurn(up, model.Draining, model.Waiting, "could not record leaving"))
	}
	return nil
}

// swap does not come back when it succeeds: the process is another image then.
func (u *Upgrader) swap(ctx context.Context, up *model.Upgrade) error {
	u.Process.LameDuck() // a life that begins here has not done it yet
	err := u.Process.Reexec(ctx, u.Own.Swap)
	u.Process.Recover()
	return errors.Join(err, u.leaveTurn(up, model.Leaving, model.Waiting, fmt.Sprintf("swap: %v", err)))
}

func (u *Upgrader) handOver(ctx context.Context, to string) error {
	if to == "" {
		return errors.New("hand over: no other voter is done")
	}
	u.tries++
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	return crash.Point("transfer", func() error { return u.Cluster.HandOver(ctx, to) })
}

const (
	pathWell  = "/upgrade/well"
	pathReady = "/upgrade/ready"
)

// well is a member's answer to whether it is well.
type well struct {
	Boot    string `json:"boot"`
	Image   string `json:"image"`
	Applied uint64 `json:"applied"`
}

func (u *Upgrader) answerWell(context.Context, json.RawMessage) (any, error) {
	if err := u.Store.Fault(); err != nil {
		return nil, model.Problemf(model.Unavailable, "%v", err)
	}
	return well{Boot: u.Self.Boot, Image: u.Self.Image, Applied: u.Store.Applied()}, nil
}

// ping asks a member on probation whether it is well: the process that reported,
// caught up with what this leader has applied.
func (u *Upgrader) ping(ctx context.Context, member string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	target := u.Store.Applied()
	for {
		var w well
		if err := u.Cluster.Call(ctx, member, pathWell, struct{}{}, &w); err != nil {
			return fmt.Errorf("ask %s whether it is well: %w", member, err)
		}
		if w.Applied >= target {
			u.pong = &Pong{Member: member, Boot: w.Boot}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has applied %d, not %d yet", member, w.Applied, target)
		case <-time.After(breath / 20):
		}
	}
}

// survey asks every other member whether it is well, all at once.
func (u *Upgrader) survey(ctx context.Context, p picture) error {
	answered := map[string]bool{}
	var mu sync.Mutex // held for answered
	silent := u.everyone(ctx, p, func(ctx context.Context, m model.Member) []string {
		if err := u.Cluster.Call(ctx, m.ID, pathWell, struct{}{}, &well{}); err != nil {
			return []string{unreachable(m, err)}
		}
		mu.Lock()
		defer mu.Unlock()
		answered[m.ID] = true
		return nil
	})
	u.answered = answered
	if len(silent) > 0 {
		return errors.New("wait for every member before the next one goes: " + strings.Join(silent, "; "))
	}
	return nil
}

// verify is a write and a consistent read through this member.
func (u *Upgrader) verify(ctx context.Context, up *model.Upgrade) error {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	if err := u.propose(ctx, store.OpProbe, store.Probe{Member: u.Self.ID}); err != nil {
		return err
	}
	if err := u.Cluster.ReadIndex(ctx); err != nil {
		return fmt.Errorf("read consistently: %w", err)
	}
	return u.propose(ctx, store.OpUpgradeVerified, store.UpgradeMember{
		ID: up.ID, Member: u.Self.ID, Note: u.Self.Name + ": verified, wrote and read on " + u.Self.Version})
}

// readyQuestion asks a member whether its prerequisites hold for an archive.
type readyQuestion struct {
	Size int64 `json:"size"`
}

func (u *Upgrader) answerReady(ctx context.Context, in json.RawMessage) (any, error) {
	var q readyQuestion
	if err := json.Unmarshal(in, &q); err != nil {
		return nil, model.Problemf(model.Malformed, "read the question: %v", err)
	}
	found := []string{}
	for _, w := range words(u.Own.Prerequisites(ctx, u.DataDir, 0)) {
		found = append(found, u.Self.Name+": "+w)
	}
	return found, nil
}

// room is why this member cannot take an archive of size bytes; nothing means it can.
func (u *Upgrader) room(size int64) []string {
	if f := binary.Room(u.DataDir, uint64(size+size/8)); f != nil {
		return []string{f.String()}
	}
	return nil
}

// attest re-hashes this member's own copy, checks its own prerequisites and
// unpacks what it will run.
func (u *Upgrader) attest(ctx context.Context, a model.Archive) []string {
	if err := u.rehash(a); err != nil {
		return []string{err.Error()}
	}
	if u.Self.Image == a.Images[u.Self.Platform] {
		return nil
	}
	if found := words(u.Own.Prerequisites(ctx, u.DataDir, 0)); len(found) > 0 {
		return found
	}
	if err := u.reverify(ctx, a); err != nil {
		return []string{err.Error()}
	}
	if _, err := u.extract(ctx, a); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// rehash reads this member's own copy from its disk, all of it.
func (u *Upgrader) rehash(a model.Archive) error {
	archive, err := u.Store.Archive(a.Digest)
	if err != nil {
		return fmt.Errorf("open its copy of the archive: %w", err)
	}
	size, err := archive.Size()
	if err != nil {
		return fmt.Errorf("read its copy of the archive: %w", err)
	}
	hash := sha256.New()
	buf := make([]byte, store.ChunkSize)
	if _, err := io.CopyBuffer(hash, onlyReader{io.NewSectionReader(archive, 0, size)}, buf); err != nil {
		return fmt.Errorf("read its copy of the archive: %w", err)
	}
	if digest := hex.EncodeToString(hash.Sum(nil)); size != a.Size || digest != a.Digest {
		return fmt.Errorf("its copy of the archive is %d bytes of sha256:%s, not %d of sha256:%s", size, digest, a.Size, a.Digest)
	}
	return nil
}

// onlyReader hides the section's other methods, so that a copy uses our buffer.
type onlyReader struct{ io.Reader }

// pkg opens this member's own copy as a package.
func (u *Upgrader) pkg(a model.Archive) (*staging.Package, error) {
	archive, err := u.Store.Archive(a.Digest)
	if err != nil {
		return nil, fmt.Errorf("open its copy of the archive: %w", err)
	}
	return staging.Open(archive, a.Size, u.Limits)
}

// reverify checks package and signature with this member's own keys.
func (u *Upgrader) reverify(ctx context.Context, a model.Archive) error {
	pkg, err := u.pkg(a)
	if err != nil {
		return err
	}
	_, err = pkg.Verify(ctx, u.Trust)
	return err
}

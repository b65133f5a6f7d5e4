package upgrader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// selfCheckLimit is how long the new binary has for its self-check.
const selfCheckLimit = 60 * time.Second

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

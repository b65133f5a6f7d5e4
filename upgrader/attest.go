package upgrader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/staging"
	"github.com/theseusd/theseus/store"
	"github.com/theseusd/theseus/upgrader/binary"
)

// room is why this member cannot take an archive of size bytes; nothing means it can.
func (u *Upgrader) room(size int64) []string {
	if f := binary.Room(u.DataDir, uint64(size+size/8)+u.trialRoom()); f != nil {
		return []string{f.String()}
	}
	return nil
}

// attest re-hashes this member's own copy, checks its own prerequisites and
// unpacks what it will run.
func (u *Upgrader) attest(ctx context.Context, a model.Archive) []string {
	u.alive(attestLimit)
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
func (u *Upgrader) pkg(ctx context.Context, a model.Archive) (*staging.Package, error) {
	archive, err := u.Store.Archive(a.Digest)
	if err != nil {
		return nil, fmt.Errorf("open its copy of the archive: %w", err)
	}
	return staging.OpenContext(ctx, archive, a.Size, u.Limits)
}

// reverify checks package and signature with this member's own keys.
func (u *Upgrader) reverify(ctx context.Context, a model.Archive) error {
	pkg, err := u.pkg(ctx, a)
	if err != nil {
		return err
	}
	_, err = pkg.Verify(ctx, u.Trust)
	return err
}

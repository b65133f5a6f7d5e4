package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// asideFile says, in the data directory, where what was there is being put.
const asideFile = "before-join.json"

// belongings are what makes a data directory a member of one cluster. What else
// lies there, such as the lock, a token file or what was put aside before, stays.
func belongings() []string {
	return []string{"raft.db", "state", "tls", identityFile, joinFile, removedFile, "admin-password", "release.json"}
}

// aside is the word that must be written before the first thing is moved.
type aside struct {
	To string `json:"to"` // a directory in the data directory
}

// SetAside makes room in a data directory for a join: what a cluster of one holds
// is put into a directory of its own beside the rest, where nothing touches it
// again. It does so only when the token is for another cluster than that, so
// that the command line that joined once starts the member ever after. It is
// called with the data directory locked and nothing in it open; killed in
// between, it goes on the next time.
func SetAside(dir string, j Join, log *slog.Logger) error {
	to, err := asideUnderWay(dir)
	if err != nil || to == "" && (j.URL == "" || j.Token == "") {
		return err
	}
	if to == "" {
		if to, err = decideAside(dir, j); err != nil || to == "" {
			return err
		}
		log.Warn("joining another cluster; what this member had is put aside", "directory", filepath.Join(dir, to))
	}
	return moveAside(dir, to)
}

func asideUnderWay(dir string) (to string, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, asideFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var a aside
	if err == nil {
		err = strict(raw, &a)
	}
	if err == nil && (a.To == "" || a.To != filepath.Base(a.To)) {
		err = fmt.Errorf("%q is no directory in it", a.To)
	}
	if err != nil {
		return "", fmt.Errorf("go on putting aside: read %s: %w", asideFile, err)
	}
	return a.To, nil
}

// decideAside writes down where to put what is there; "" is that it stays.
func decideAside(dir string, j Join) (to string, err error) {
	ca, err := os.ReadFile(filepath.Join(dir, "tls", "ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // never part of a cluster
	}
	if err != nil {
		return "", err
	}
	mine, err := Fingerprint(ca)
	if err != nil {
		return "", fmt.Errorf("join %s: %w", j.URL, err)
	}
	print, _, err := splitToken(j.Token)
	if err != nil || print == mine {
		return "", nil // a bad token is of no account where there is state
	}
	if err := alone(dir, j); err != nil {
		return "", err
	}
	to = "before-join-" + time.Now().UTC().Format("20060102T150405Z")
	if err := os.Mkdir(filepath.Join(dir, to), 0o700); err != nil {
		return "", fmt.Errorf("join %s: make room for what is here: %w", j.URL, err)
	}
	raw := fmt.Appendf(nil, "{\"to\":%q}\n", to)
	return to, durable.WriteBytes(filepath.Join(dir, asideFile), 0o600, raw)
}

// alone refuses to put aside what is not this member's alone.
func alone(dir string, j Join) error {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return fmt.Errorf("join %s: look at what is here: %w", j.URL, err)
	}
	defer s.Close()
	var members []model.Member
	if err := s.View(func(v *store.View) (err error) {
		members, err = v.Members()
		return err
	}); err != nil {
		return fmt.Errorf("join %s: look at what is here: %w", j.URL, err)
	}
	if len(members) > 1 {
		return model.Problemf(model.Refused, "join %s: this data directory belongs to another cluster, of %d members: remove this member there first (`theseus system ha remove`), and give it a data directory of its own",
			j.URL, len(members))
	}
	return nil
}

// moveAside may have been killed at any point before.
func moveAside(dir, to string) error {
	for _, name := range belongings() {
		err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put aside what was here: %w", err)
		}
	}
	if err := durable.SyncDir(filepath.Join(dir, to)); err != nil {
		return err
	}
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	return durable.Remove(filepath.Join(dir, asideFile))
}

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/theseusd/theseus/api"
	"github.com/theseusd/theseus/model"
)

// adminPassword is the file that a cluster's first start leaves the password in.
const adminPassword = "admin-password"

// firstAdmin is the first user of a new cluster. The password comes from the
// environment, or is made up and written down for the operator. A start that
// was cut short before the cluster had begun finds its own file again.
func (d *daemon) firstAdmin() (model.User, error) {
	password, given := os.LookupEnv("THESEUS_ADMIN_PASSWORD")
	if !given {
		var err error
		if password, err = d.writtenPassword(); err != nil {
			return model.User{}, fmt.Errorf("write the first password: %w", err)
		}
	}
	return model.User{Name: "admin", Password: api.HashPassword(password), Role: "admin"}, nil
}

func (d *daemon) writtenPassword() (string, error) {
	path := filepath.Join(d.DataDir, adminPassword)
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) > 0 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	return password, writeDurably(path, password+"\n")
}

// writeDurably writes tmp, syncs, renames, and syncs the directory.
func writeDurably(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

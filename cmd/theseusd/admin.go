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
	"github.com/theseusd/theseus/internal/durable"
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
	return password, durable.WriteBytes(path, 0o600, []byte(password+"\n"))
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store/backup"
)

func backupCommand(a *app) *cobra.Command {
	return group("backup", "Copies of the cluster's records, and bringing them into a new cluster",
		backupCreateCommand(a),
		a.reader("list", "Show the backups on all members, the newest first", backupsTable, "backups"),
		backupGetCommand(a),
		leaf("remove NAME", "Remove a backup from the member that has it", 1, 1, func(c *cobra.Command, args []string) error {
			return a.with(c, func(api *client.Client) error {
				_, err := api.Write(c.Context(), "DELETE", client.Path("backups", args[0]), nil, nil)
				return a.tell(err, "removed %s", args[0])
			})
		}),
		backupVerifyCommand(a), restoreCommand(a))
}

func backupCreateCommand(a *app) *cobra.Command {
	c := leaf("create", "Make a backup on the member that is asked", 0, 0, nil)
	c.Long = c.Short + `.

It holds profiles, users with the hashes of their passwords, and the history of
upgrades. It holds no key of the cluster's CA and no tokens. It lies in the data
directory, below backups, for its owner to read alone.`
	reason := c.Flags().String("reason", "", "why, for people")
	to := c.Flags().String("to", "", "fetch it into this file too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.with(c, func(api *client.Client) error {
			var raw json.RawMessage
			if _, err := api.Write(c.Context(), "POST", "backups", map[string]string{"reason": *reason}, &raw); err != nil {
				return err
			}
			b, err := decode[model.Backup](raw)
			if err == nil && *to != "" {
				err = fetchBackup(c.Context(), api, b.Name, *to)
			}
			if err != nil {
				return err
			}
			return a.show(c, raw, backupTable)
		})
	}
	return c
}

func backupGetCommand(a *app) *cobra.Command {
	return leaf("get NAME FILE", "Fetch a backup into a file, through any member", 2, 2, func(c *cobra.Command, args []string) error {
		return a.with(c, func(api *client.Client) error {
			return a.tell(fetchBackup(c.Context(), api, args[0], args[1]), "wrote %s", args[1])
		})
	})
}

// fetchBackup gives a file its name when all of it has come and it reads.
func fetchBackup(ctx context.Context, api *client.Client, name, file string) error {
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".tmp")
	err := durable.Create(tmp, 0o600, func(w io.Writer) error {
		_, err := api.Download(ctx, client.Path("backups", name), w)
		return err
	})
	if err == nil {
		_, err = readBackup(tmp)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return durable.Rename(tmp, file)
}

func readBackup(path string) (model.BackupContents, error) {
	f, err := os.Open(path)
	if err != nil {
		return model.BackupContents{}, err
	}
	defer f.Close()
	return backup.Read(f, nil)
}

func backupVerifyCommand(a *app) *cobra.Command {
	return leaf("verify FILE", "Read a backup to its end and check it, without a server", 1, 1, func(c *cobra.Command, args []string) error {
		found, err := readBackup(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		raw, err := json.Marshal(found)
		if err != nil {
			return err
		}
		return a.show(c, raw, backedUpTable)
	})
}

func restoreCommand(a *app) *cobra.Command {
	c := leaf("restore FILE", "Bring a backup into a new cluster", 1, 1, nil)
	c.Long = c.Short + `.

The cluster must be new: no profiles, no users but its first, no upgrades. Its
records are replaced on all members at once, the users and their passwords too,
and every login ends. It keeps its members and its CA, and gets a new id.`
	yes := c.Flags().Bool("yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		found, err := readBackup(args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if !*yes && !a.confirmed(c, found) {
			return usage(c, errors.New("not restored: answer yes, or say --yes"))
		}
		return a.with(c, func(api *client.Client) error { return a.restore(c, api, args[0]) })
	}
	return c
}

// confirmed asks the person at the keyboard.
func (a *app) confirmed(c *cobra.Command, found model.BackupContents) bool {
	fmt.Fprintf(a.stderr, "Replace the records of this cluster by %d profiles and %d users of %s, version %s? [yes/no] ",
		found.Profiles, found.Users, printable(found.Header.Made), printable(found.Header.Version))
	said, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	return (err == nil || errors.Is(err, io.EOF)) && strings.TrimSpace(said) == "yes"
}

func (a *app) restore(c *cobra.Command, api *client.Client, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := api.Restore(c.Context(), f, info.Size())
	return a.tell(err, "restored %d profiles and %d users; log in with the passwords of the backup", r.Profiles, r.Users)
}

func backupsTable(w io.Writer, raw json.RawMessage) error {
	list, err := decode[model.BackupList](raw)
	if err != nil {
		return err
	}
	row(w, "NAME", "MADE", "VERSION", "SIZE", "MEMBER", "BY", "REASON")
	for _, b := range list.Backups {
		row(w, b.Name, seconds(b.Made), b.Version, strconv.FormatInt(b.Size, 10), b.Member, b.By, b.Reason)
	}
	for _, name := range list.Silent {
		row(w, name+" did not answer: its backups are not in this list")
	}
	return nil
}

func backupTable(w io.Writer, raw json.RawMessage) error {
	b, err := decode[model.Backup](raw)
	if err != nil {
		return err
	}
	row(w, "name", b.Name)
	row(w, "made", seconds(b.Made))
	row(w, "version", b.Version)
	row(w, "size", strconv.FormatInt(b.Size, 10))
	row(w, "sha256", b.SHA256)
	row(w, "member", b.Member)
	return nil
}

func backedUpTable(w io.Writer, raw json.RawMessage) error {
	c, err := decode[model.BackupContents](raw)
	if err != nil {
		return err
	}
	row(w, "made", seconds(c.Header.Made))
	row(w, "by", c.Header.By)
	row(w, "reason", c.Header.Reason)
	row(w, "cluster", c.Header.Cluster)
	row(w, "version", c.Header.Version)
	row(w, "profiles", strconv.Itoa(c.Profiles))
	row(w, "users", strconv.Itoa(c.Users))
	row(w, "records", strconv.Itoa(c.Records))
	row(w, "sha256", c.SHA256)
	return nil
}

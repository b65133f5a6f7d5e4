package store

import "github.com/theseusd/theseus/model"

// BackupMade notes a backup that a member has made.
type BackupMade struct {
	Backup model.Backup `json:"backup"`
}

// UpgradeBackup notes the backup that was made before anything changes in a run.
type UpgradeBackup struct {
	ID     string `json:"id"`
	Run    int    `json:"run"`
	Backup string `json:"backup"` // its name
	Note   string `json:"note"`
}

// backupsNoted is how many backups stay on record: the oldest go first.
const backupsNoted = 20

var keyBackups = []byte("backups")

func backupOps() map[Op]op {
	return map[Op]op{
		OpBackupMade:    atLevel(1, noteBackup, BackupMade{Backup: model.Backup{Name: "sample"}}),
		OpUpgradeBackup: atLevel(1, backupUpgrade, UpgradeBackup{ID: "sample"}),
	}
}

func noteBackup(e entry, c BackupMade) error {
	all, _, err := get[[]model.Backup](e.tx, bucketRecords, keyBackups)
	if err != nil {
		return err
	}
	all = append([]model.Backup{c.Backup}, all...)
	return put(e.tx, bucketRecords, keyBackups, all[:min(len(all), backupsNoted)])
}

func backupUpgrade(e entry, c UpgradeBackup) error {
	return changeUpgrade(e, c.ID, c.Note, func(u *model.Upgrade) error {
		if u.Phase != model.Checking || u.Runs != c.Run || u.BackupRun == c.Run {
			return ErrConflict
		}
		u.Backup, u.BackupRun = c.Backup, c.Run
		return nil
	})
}

// Backups are the backups that were made last, the newest first. Whether their
// files are still there is another question.
func (v *View) Backups() ([]model.Backup, error) {
	all, _, err := get[[]model.Backup](v.tx, bucketRecords, keyBackups)
	return all, err
}

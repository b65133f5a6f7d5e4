package model

// Backup is one backup, as the member that made it has it.
type Backup struct {
	Name    string `json:"name"`
	Member  string `json:"member"`  // whose directory it lies in, by id
	Made    string `json:"made"`    // RFC 3339
	By      string `json:"by"`      // who asked for it
	Version string `json:"version"` // cluster version
	Index   uint64 `json:"index"`   // of the last entry that is in it
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"` // of the file but for its last line, in hex
	Reason  string `json:"reason"`
}

// BackupList are the backups of all members, the newest first.
type BackupList struct {
	Backups []Backup `json:"backups"`
	// Silent are the names of members that did not answer: theirs are not in it.
	Silent []string `json:"silent"`
}

// BackupHeader is the first line of a backup.
type BackupHeader struct {
	Format  int    `json:"format"`
	Product string `json:"product"` // version of the program that wrote it
	Version string `json:"version"` // cluster version
	Level   int    `json:"level"`   // protocol level
	Cluster string `json:"cluster"` // id
	Made    string `json:"made"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
	Index   uint64 `json:"index"`
}

// BackupContents is what reading a backup to its end has found.
type BackupContents struct {
	Header   BackupHeader `json:"header"`
	Records  int          `json:"records"`
	Profiles int          `json:"profiles"`
	Users    int          `json:"users"`
	SHA256   string       `json:"sha256"`
	Digest   string       `json:"digest"` // of the records alone
}

// Restored is what a restore has brought.
type Restored struct {
	BackupContents
	Cluster string `json:"cluster"` // the new id of the cluster
}

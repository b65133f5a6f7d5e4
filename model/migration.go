package model

import (
	"slices"
	"time"
)

// MigrationPhase is when a migration runs.
type MigrationPhase string

const (
	// Expand makes room for the new form of the data, before the first member goes:
	// the version before has to work with what it leaves.
	Expand MigrationPhase = "expand"
	// Migrate moves the data, when every member runs the new version. Until the
	// completion members may go back, so the version before has to read it still.
	Migrate MigrationPhase = "migrate"
	// Contract removes what only the version before needed, after the completion.
	Contract MigrationPhase = "contract"
	// Task is no migration but what else is to be done once, after the completion.
	Task MigrationPhase = "task"
)

// MigrationPhases are all, in the order in which they run.
func MigrationPhases() []MigrationPhase { return []MigrationPhase{Expand, Migrate, Contract, Task} }

// Migration is work on the data that a package brings: an executable, run by one
// member, once in effect.
type Migration struct {
	Name     string            `json:"name"`
	Phase    MigrationPhase    `json:"phase"`
	Memory   int64             `json:"memory,omitempty"`   // bytes that it may use; 0: no limit
	Deadline time.Duration     `json:"deadline,omitempty"` // for one attempt, pauses aside; 0: DefaultMigrationDeadline
	Images   map[string]string `json:"images"`             // platform to sha256:<hex> of the executable
}

// DefaultMigrationDeadline is how long one attempt may take, pauses aside, when
// the package does not say.
const DefaultMigrationDeadline = 24 * time.Hour

// Migration is the one of that name which the archive brings, or nil.
func (a Archive) Migration(name string) *Migration {
	i := slices.IndexFunc(a.Migrations, func(m Migration) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &a.Migrations[i]
}

// How the data is migrated (Options.Mode).
const (
	// ModeComplete, which is also "", migrates as part of the upgrade: nobody else
	// writes meanwhile.
	ModeComplete = "complete"
	// ModeBackground migrates while the cluster serves, and waits for a person to complete.
	ModeBackground = "background"
)

// JobMigration is what a job has beside when it runs a migration.
type JobMigration struct {
	Upgrade string         `json:"upgrade"` // its id
	Phase   MigrationPhase `json:"phase"`
	Holds   bool           `json:"holds"`  // other writes are refused while it is at work
	Rate    int64          `json:"rate"`   // items a second at most; 0: no limit
	Gentle  bool           `json:"gentle"` // it rests as long as it works
	Paused  string         `json:"paused"` // who has it paused; "" it goes on

	// Of the present attempt, to tell how fast it goes: when it began and how much
	// was done then, and when that was last written down. RFC 3339, for people.
	Began string `json:"began"`
	From  int64  `json:"from"`
	Told  string `json:"told"`
}

// MigrationReport is how far the data of an upgrade is.
type MigrationReport struct {
	Version string `json:"version"` // that the data is migrated for; "" there is no upgrade
	Mode    string `json:"mode"`    // ModeComplete or ModeBackground
	State   string `json:"state"`   // none, waiting, running, paused, failed, done or completed
	What    string `json:"what"`    // the same in a sentence, with what to do
	MigrationCount
	Migrations []MigrationProgress `json:"migrations"`
}

// MigrationProgress is how far one migration is.
type MigrationProgress struct {
	Name     string         `json:"name"`
	Phase    MigrationPhase `json:"phase"`
	State    string         `json:"state"` // waiting, running, paused, failed or done
	Job      string         `json:"job"`   // the id of its last job; "" there was none
	Attempts int            `json:"attempts"`
	Error    string         `json:"error"`
	MigrationCount
}

// MigrationCount is how much is done, and how fast.
type MigrationCount struct {
	Done    int64   `json:"done"`
	Total   int64   `json:"total"` // 0: not known yet
	Percent int     `json:"percent"`
	Rate    float64 `json:"rate"` // items a second in the present attempt; 0: not known
	ETA     int64   `json:"eta"`  // seconds; -1: not known
}

// Pass is what a migration may do: only read and write profiles, and only as long
// as its attempt is the one on record.
type Pass struct {
	Job    string
	Epoch  int
	Action string
	Reads  bool // it may not write
}

package model

import (
	"slices"
	"time"
)

// Archive names one upgrade archive: its bytes by digest and what they hold.
type Archive struct {
	Digest  string `json:"digest"` // lower-case hex of SHA-256, without "sha256:"
	Size    int64  `json:"size"`
	Version string `json:"version"`
	// Images maps a platform (linux/amd64) to sha256:<hex> of its theseusd; CLIs
	// the same for theseus, where the package brings it.
	Images map[string]string `json:"images"`
	CLIs   map[string]string `json:"clis,omitempty"`
	Rules  *Rules            `json:"rules,omitempty"` // nil: the version table alone
	// Migrations are in the order of their phases, and in each as the package has them.
	Migrations []Migration `json:"migrations,omitempty"`
}

// Staging is the record of an archive on its way to every member.
type Staging struct {
	Archive  Archive         `json:"archive"`
	ID       string          `json:"id"`
	Receiver string          `json:"receiver"` // the member it was uploaded to
	Uploader string          `json:"uploader"` // who uploaded it
	Started  string          `json:"started"`  // RFC 3339
	Renewed  int             `json:"renewed"`  // counts the receiver's renewals of the lease
	Sealed   bool            `json:"sealed"`   // every chunk is in the log
	Answers  map[string]Vote `json:"answers"`  // by member id: is there room?
	Attests  map[string]Vote `json:"attests"`  // by member id: is my own copy good?

	// Exclude are the ids of the members that the operator said not to wait for.
	Exclude []string `json:"exclude,omitempty"`
}

// Awaits says whether the staging waits for a member's votes.
func (s *Staging) Awaits(id string) bool { return !slices.Contains(s.Exclude, id) }

// Vote is one member's answer; no reasons means yes.
type Vote struct {
	Incarnation string   `json:"incarnation"`
	Reasons     []string `json:"reasons,omitempty"`
}

// Phase is where an upgrade as a whole stands.
type Phase string

const (
	Staged    Phase = "staged"
	Checking  Phase = "checking"
	Rolling   Phase = "rolling"
	Verifying Phase = "verifying"
	Migrating Phase = "migrating" // data, while nobody else writes
	Reverting Phase = "reverting" // the whole rollout goes back
	Finished  Phase = "finished"
	Failed    Phase = "failed"
)

// Status is the one public word for p: staged, working, finished or failed.
func (p Phase) Status() string {
	switch p {
	case Staged, Finished, Failed:
		return string(p)
	}
	return "working"
}

// Step is where one member stands in the upgrade.
type Step string

const (
	Waiting   Step = "waiting"
	Claimed   Step = "claimed"
	Draining  Step = "draining"
	Leaving   Step = "leaving" // the last word a member can write before raft closes
	Probation Step = "probation"
	Done      Step = "done"
	Skipped   Step = "skipped"   // already ran the target
	Excluded  Step = "excluded"  // left out by the operator; goes when it is back
	Broken    Step = "failed"    // did not come back, or gave up
	Returning Step = "reverting" // waits for its turn to go back
	Reverted  Step = "reverted"
)

// Options are what an operator may say when an upgrade is run.
type Options struct {
	Deadline  time.Duration `json:"deadline"`  // for a member's whole turn
	Probation time.Duration `json:"probation"` // how long a new member must stay well

	// Window is when members may go, as policy.ParseWindow reads it; "" is always.
	Window string `json:"window,omitempty"`
	// Exclude are the ids of the members left out of this run.
	Exclude []string `json:"exclude,omitempty"`

	Hold      bool          `json:"hold,omitempty"`       // completion waits for the operator
	HoldAfter int           `json:"hold-after,omitempty"` // members through, then pause; 0 is never
	OnFailure string        `json:"on-failure,omitempty"` // OnFailureRollback, or "" for halt
	Ignore    []string      `json:"ignore,omitempty"`     // findings that the operator accepts, by name
	Await     time.Duration `json:"await,omitempty"`      // how much longer members that are down may take to come to the checking
	Force     bool          `json:"force,omitempty"`      // a build that failed before is tried again
	Backup    string        `json:"backup,omitempty"`     // BackupNone, or "" for one before a minor or major upgrade

	Mode     string `json:"mode,omitempty"`     // ModeBackground, or "" for ModeComplete
	Throttle int64  `json:"throttle,omitempty"` // items that migrations move in a second at most; 0: no limit
}

// OnFailureRollback has a rollout that fails go back by itself.
const OnFailureRollback = "rollback"

// BackupNone has a run begin without a backup of its own.
const BackupNone = "none"

// IgnoreQuorum accepts restarts that leave too few voters to write for a moment.
const IgnoreQuorum = "quorum"

// Plain says whether o asks for nothing that the first release did not know.
func (o Options) Plain() bool {
	return !o.Hold && o.HoldAfter == 0 && o.OnFailure == "" && len(o.Ignore) == 0 && o.Await == 0 && !o.Force && o.Backup == "" && o.Simple()
}

// Simple says whether o asks for nothing that came with protocol level 2.
func (o Options) Simple() bool { return o.Mode == "" && o.Throttle == 0 }

// Schedule is a start that was ordered and has not come yet.
type Schedule struct {
	At      string  `json:"at,omitempty"` // RFC 3339; "" is as soon as the window is open
	Options Options `json:"options"`
	By      string  `json:"by"`
}

// Upgrade is the record that is the upgrade: there is no other memory of it.
type Upgrade struct {
	ID      string  `json:"id"`
	Archive Archive `json:"archive"`
	From    string  `json:"from"` // cluster version when staged
	Phase   Phase   `json:"phase"`
	Stop    bool    `json:"stop"` // asked to end after the step under way
	By      string  `json:"by"`   // who staged it
	Runs    int     `json:"runs"` // times it was started
	Options Options `json:"options"`

	Members []Progress `json:"members"`        // every member of the plan
	Turn    *Turn      `json:"turn,omitempty"` // the one lease on being out of service
	Wait    Wait       `json:"wait"`

	Transcript []string `json:"transcript"`
	Final      string   `json:"final"`
	Completed  bool     `json:"completed"`
	Since      string   `json:"since"` // RFC 3339: of the phase

	Staged   string    `json:"staged"`             // RFC 3339, as are the next two
	Started  string    `json:"started,omitempty"`  // its first run
	Ended    string    `json:"ended,omitempty"`    // its last run
	Schedule *Schedule `json:"schedule,omitempty"` // only while it is staged

	Paused   *Pause `json:"paused,omitempty"`   // nothing new begins
	Held     int    `json:"held,omitempty"`     // the run whose hold-after was used
	Rollback string `json:"rollback,omitempty"` // who asked to go back; "" once it does
	Proof    *Proof `json:"proof,omitempty"`    // of the first member that was through
	Back     string `json:"back,omitempty"`     // how going back ended: BackDone or BackFailed

	Backup    string `json:"backup,omitempty"`     // name of the one that was made before anything changed
	BackupRun int    `json:"backup-run,omitempty"` // and in which run

	Job      string   `json:"job,omitempty"`      // id of the job whose migration is at work or waits for a person
	Migrated []string `json:"migrated,omitempty"` // names of the migrations that are done
	Again    int      `json:"again,omitempty"`    // times that the final check found data left over
}

// How going back ended.
const (
	BackAsked  = "asked" // on no record: somebody has asked, and it begins
	BackDone   = "done"
	BackFailed = "failed"
)

// Pause is an operator's word, or a hold's, that nothing new is to begin.
type Pause struct {
	By    string `json:"by"`
	Since string `json:"since"` // RFC 3339
}

// Proof is what was found out about the new version at work on the first member
// that was through, before the next one went.
type Proof struct {
	Run      int      `json:"run"`
	Member   string   `json:"member"`
	At       string   `json:"at"`                 // RFC 3339
	Findings []string `json:"findings,omitempty"` // none: it works, and the way back is open
	Unfit    bool     `json:"unfit,omitempty"`    // it does not work there, and the way back is open: the member goes back
}

// Progress is one member's way through the upgrade.
type Progress struct {
	ID       string `json:"id"`
	Step     Step   `json:"step"`
	Attempt  int    `json:"attempt"`  // counts on over all runs
	Before   int    `json:"before"`   // attempts made before this run
	Boot     string `json:"boot"`     // the process that took the step
	Reason   string `json:"reason"`   // why it stands where it stands
	Since    string `json:"since"`    // RFC 3339, for people
	From     string `json:"from"`     // version and
	Image    string `json:"image"`    // image it ran when the upgrade was staged
	Verified bool   `json:"verified"` // wrote and read through itself on the new image
	Claimed  string `json:"claimed"`  // RFC 3339: when it last took its turn,
	Settled  string `json:"settled"`  // and when that turn ended

	// Checked is the run (Upgrade.Runs) whose trial run this member passed or failed.
	Checked  int      `json:"checked"`
	Findings []string `json:"findings,omitempty"`
}

// Canary is a write through a member that has a new version to prove.
type Canary struct {
	Member string `json:"member"`
	Nonce  string `json:"nonce"`
}

// Turn is the lease on being out of service. There is one, so that two members
// out at once cannot be written down.
type Turn struct {
	Member  string `json:"member"`
	Attempt int    `json:"attempt"`
	Claimed bool   `json:"claimed"`
	Boot    string `json:"boot"`           // the process that claimed it
	Back    bool   `json:"back,omitempty"` // to the image that it ran before
}

// Wait is the part of a wait that has been lived through under any leader: a
// successor goes on from here on its own monotonic clock.
type Wait struct {
	For    string        `json:"for"` // what is waited for, as the machine names it
	Passed time.Duration `json:"passed"`
	Why    string        `json:"why,omitempty"` // what stands in the way, for people
}

// Progress of member id, or nil.
func (u *Upgrade) Member(id string) *Progress {
	for i := range u.Members {
		if u.Members[i].ID == id {
			return &u.Members[i]
		}
	}
	return nil
}

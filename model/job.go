package model

// JobState is where a job stands.
type JobState string

const (
	JobWaiting  JobState = "waiting" // for a runner, or for its next attempt
	JobRunning  JobState = "running"
	JobDone     JobState = "done"
	JobFailed   JobState = "failed"   // its attempts are used up: it waits for a person
	JobCanceled JobState = "canceled" // by a person
)

// Over says whether a job in this state will not go on, whatever anybody does.
func (s JobState) Over() bool { return s == JobDone || s == JobCanceled }

// Job is a piece of work that the cluster does once, whoever leads.
type Job struct {
	ID     string   `json:"id"`
	Number uint64   `json:"number"` // of the entry that made it: jobs are in this order
	Action string   `json:"action"` // what it does, by name
	State  JobState `json:"state"`
	By     string   `json:"by"`     // who made it
	Reason string   `json:"reason"` // why

	Made    string `json:"made"`    // RFC 3339, as are the next two; for people
	Started string `json:"started"` // its first attempt
	Ended   string `json:"ended"`   // its last one

	// Epoch goes up with every runner: what an earlier one still says is refused.
	Epoch  int    `json:"epoch"`
	Runner string `json:"runner"` // the member that has it, by id
	Boot   string `json:"boot"`   // the process there

	Failures int    `json:"failures"` // attempts that failed since it was last triggered
	Attempts int    `json:"attempts"` // attempts that failed in all
	Error    string `json:"error"`    // of the last attempt that failed

	Done       int64  `json:"done"`       // of Total, in units of the action's own; 0 of 0 is not known
	Total      int64  `json:"total"`      //
	Checkpoint string `json:"checkpoint"` // where the next attempt goes on

	Log []string `json:"log,omitempty"` // its last lines, each with its time

	Migration *JobMigration `json:"migration,omitempty"` // nil: it does something else
}

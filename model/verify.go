package model

// VerifyReport says whether every member runs what the cluster is said to run,
// and works.
type VerifyReport struct {
	Version string `json:"version"` // that every member should run
	Cluster string `json:"cluster"` // the cluster version
	Archive string `json:"archive"` // sha256:<hex> of the release on record, or ""
	OK      bool   `json:"ok"`

	Members  []VerifyMember `json:"members"`  // by name
	Findings []Finding      `json:"findings"` // none: all is well
	Notes    []string       `json:"notes"`    // what is worth knowing, and no fault
}

// VerifyMember is one member's part in a VerifyReport.
type VerifyMember struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Observer bool   `json:"observer"`
	OK       bool   `json:"ok"`
	Version  string `json:"version"`
	Image    string `json:"image"`   // sha256:<hex> of the executable that runs
	Applied  uint64 `json:"applied"` // index of the log
	Wrote    bool   `json:"wrote"`   // a write went through it
	Read     bool   `json:"read"`    // and was read through it, and through another
}

// Names of the findings of a VerifyReport.
const (
	FindingAnswers      = "answers"      // a member does not, or says that it is not well
	FindingVersion      = "version"      // another version than the cluster's runs
	FindingImage        = "image"        // another executable than the release's runs
	FindingRecord       = "record"       // the records say otherwise
	FindingCapabilities = "capabilities" // some are lost
	FindingWrite        = "write"        // a write through a member fails or is lost
	FindingRead         = "read"         // a read through a member fails or is stale
	FindingIssue        = "issue"        // of the cluster's own list
)

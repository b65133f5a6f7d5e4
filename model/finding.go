package model

import "strings"

// Severity says whether an operator may accept a finding.
type Severity string

const (
	Hard Severity = "hard" // never accepted
	Soft Severity = "soft" // may be accepted by name
	// Advice is told, and refuses nothing.
	Advice Severity = "advice"
)

// Finding is one thing that stands in the way of an upgrade.
type Finding struct {
	Name     string   `json:"name"` // stable; what --ignore takes of soft ones
	Severity Severity `json:"severity"`
	Member   string   `json:"member,omitempty"` // by name; "" is the cluster as a whole
	What     string   `json:"what"`
	Measured string   `json:"measured,omitempty"`
	Limit    string   `json:"limit,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
	Ignored  bool     `json:"ignored,omitempty"` // accepted by the operator
}

// String is the finding in one line.
func (f Finding) String() string {
	var text strings.Builder
	if f.Member != "" {
		text.WriteString(f.Member + ": ")
	}
	text.WriteString(f.What)
	if f.Measured != "" && f.Limit != "" {
		text.WriteString(" (" + f.Measured + ", the limit is " + f.Limit + ")")
	}
	if f.Remedy != "" {
		text.WriteString(": " + f.Remedy)
	}
	return text.String()
}

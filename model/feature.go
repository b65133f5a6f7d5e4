package model

// Feature is something of this version that the cluster may not use before an
// upgrade is completed: members of the version before could not read it.
type Feature struct {
	Name   string `json:"name"`
	What   string `json:"what"`
	Active bool   `json:"active"`
	Reason string `json:"reason"` // why it is off, and when it opens
}

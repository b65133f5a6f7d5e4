package model

import "time"

// Rules are what a package asks for beside the version table.
type Rules struct {
	// Lowest is the version that a member must run at least to go there; "" is any.
	Lowest string `json:"lowest,omitempty"`
	// Skips are the release lines, such as 3.3, from which it may be reached though
	// the version table says no.
	Skips []string `json:"skips,omitempty"`

	Memory int64         `json:"memory,omitempty"` // bytes that each member's machine must have
	Disk   int64         `json:"disk,omitempty"`   // bytes that must be free beside the archive
	Backup time.Duration `json:"backup,omitempty"` // how old the last backup may be

	// Companions maps the name of another system to the versions of it that fit, as
	// in ">= 3.4, < 3.6". Which one runs beside the cluster, operators keep in the
	// profile CompanionsProfile.
	Companions map[string]string `json:"companions,omitempty"`
	// Settings maps a parameter of the profile SettingsProfile to the value that it
	// must have.
	Settings map[string]string `json:"settings,omitempty"`
}

// The profiles in which operators keep what packages may ask for.
const (
	CompanionsProfile = "theseus-companions"
	SettingsProfile   = "theseus-settings"
)

package model

// CheckReport is what a trial run on every member found, without an upgrade.
type CheckReport struct {
	Version string        `json:"version"` // that was tried
	Archive string        `json:"archive"` // sha256:<hex>
	OK      bool          `json:"ok"`
	Members []CheckMember `json:"members"` // by name
}

// CheckMember is one member's part in a CheckReport.
type CheckMember struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Findings []string `json:"findings"` // none: the new version can take over there
	Replayed int      `json:"replayed"` // commands since the staging that both versions made the same of
	Note     string   `json:"note"`     // why not more was tried, or ""
	Took     string   `json:"took"`     // 1.2s
}

package model

// CheckReport is what stands in the way of an upgrade now, of all members.
type CheckReport struct {
	Version  string        `json:"version,omitempty"` // that was tried; none: nothing is staged
	Archive  string        `json:"archive,omitempty"` // sha256:<hex>
	OK       bool          `json:"ok"`                // nothing is found that refuses a start
	Findings []Finding     `json:"findings"`          // of the cluster as a whole
	Members  []CheckMember `json:"members"`           // by name
}

// CheckMember is one member's part in a CheckReport.
type CheckMember struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Findings []Finding `json:"findings"` // none: the new version can take over there
	Replayed int       `json:"replayed"` // commands since the staging that both versions made the same of
	Note     string    `json:"note"`     // why not more was tried, or ""
	Took     string    `json:"took"`     // 1.2s; "" without a trial run
}

// Refusals are the findings that refuse a start, of the cluster and of members.
func (r CheckReport) Refusals() (found []Finding) {
	found = refusing(r.Findings)
	for _, m := range r.Members {
		found = append(found, m.Refusals()...)
	}
	return found
}

// Refusals are the findings on one member that refuse a start.
func (m CheckMember) Refusals() []Finding { return refusing(m.Findings) }

func refusing(findings []Finding) (found []Finding) {
	for _, f := range findings {
		if f.Severity != Advice {
			found = append(found, f)
		}
	}
	return found
}

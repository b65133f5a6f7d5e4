package model

// TrackingProfile is the name of the read-only profile that shows the upgrade.
const TrackingProfile = "rackn-system-upgrade-tracking"

// Profile is a named set of parameters, in Digital Rebar's shape.
type Profile struct {
	Validated     bool
	Available     bool
	Errors        []string
	ReadOnly      bool
	Meta          map[string]string
	Endpoint      string
	Bundle        string
	Partial       bool
	Name          string
	Description   string
	Documentation string
	Params        map[string]any
	Profiles      []string
}

// Fill gives p the fields the server owns, and empty collections for nil ones:
// clients diff against what they are sent, and null is not {}.
func (p *Profile) Fill() {
	p.Validated, p.Available, p.Partial = true, true, false
	if p.Errors == nil {
		p.Errors = []string{}
	}
	if p.Meta == nil {
		p.Meta = map[string]string{}
	}
	if p.Params == nil {
		p.Params = map[string]any{}
	}
	if p.Profiles == nil {
		p.Profiles = []string{}
	}
}

// BlobInfo is the answer to an upload.
type BlobInfo struct {
	Path string
	Size int64
}

//go:build era

package model

// ClusterNext are the fields of Cluster that only the next version knows. The
// tag era makes builds that stand for a next version in tests.
type ClusterNext struct {
	Era *Era `json:"era,omitempty"`
}

// UserNext are the fields of User that only the next version knows.
type UserNext struct {
	Era int `json:"era,omitempty"` // 1 once the record was converted
}

// Era is when and to what the cluster version last moved.
type Era struct {
	Version string `json:"version"`
	Since   string `json:"since"`
}

//go:build !era

package model

// ClusterNext are the fields of Cluster that only the next version knows.
type ClusterNext struct{}

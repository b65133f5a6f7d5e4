//go:build !era

package model

// ClusterNext are the fields of Cluster that only the next version knows.
type ClusterNext struct{}

// UserNext are the fields of User that only the next version knows.
type UserNext struct{}

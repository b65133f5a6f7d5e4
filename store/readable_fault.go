//go:build fault_badstate

package store

import "errors"

func readable(bucket, raw []byte) ([]byte, error) {
	if string(bucket) == string(bucketMembers) {
		return nil, errors.New("this build was made with FAULT=badstate and cannot read members")
	}
	return raw, nil
}

func proper(_ Op, row op) op { return row }

func (*Store) scribble() error { return nil }

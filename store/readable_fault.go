//go:build fault_badstate

package store

import "errors"

func readable(bucket []byte) error {
	if string(bucket) == string(bucketMembers) {
		return errors.New("this build was made with FAULT=badstate and cannot read members")
	}
	return nil
}

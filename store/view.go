package store

import (
	bolt "go.etcd.io/bbolt"

	"github.com/theseusd/theseus/model"
)

// View reads the records as of one moment. It is good only inside the function
// that it was handed to.
type View struct {
	tx    *bolt.Tx
	known known // of a rehearsal; nil anywhere else
}

// Cluster is the record of the cluster; ErrNotFound before a member has joined one.
func (v *View) Cluster() (model.Cluster, error) {
	return must[model.Cluster](v.tx, bucketRecords, keyCluster)
}

// Members are all members by id.
func (v *View) Members() ([]model.Member, error) { return list[model.Member](v.tx, bucketMembers) }

// Member is one member by id, or ErrNotFound.
func (v *View) Member(id string) (model.Member, error) {
	return must[model.Member](v.tx, bucketMembers, []byte(id))
}

// Staging is the archive on its way, or nil.
func (v *View) Staging() (*model.Staging, error) {
	s, ok, err := get[model.Staging](v.tx, bucketRecords, keyStaging)
	if err != nil || !ok {
		return nil, err
	}
	return &s, nil
}

// Upgrade is the upgrade staged, under way or last ended, or nil.
func (v *View) Upgrade() (*model.Upgrade, error) {
	u, ok, err := upgradeIn(v.tx, v.known, keyUpgrade)
	if err != nil || !ok {
		return nil, err
	}
	return &u, nil
}

// Release is the upgrade that finished last and was cleared away since, or nil:
// members that lag behind still follow it.
func (v *View) Release() (*model.Upgrade, error) {
	u, ok, err := upgradeIn(v.tx, v.known, keyRelease)
	if err != nil || !ok {
		return nil, err
	}
	return &u, nil
}

// Profile is one profile by name, or ErrNotFound.
func (v *View) Profile(name string) (model.Profile, error) {
	return must[model.Profile](v.tx, bucketProfiles, []byte(name))
}

// Profiles are all profiles by name.
func (v *View) Profiles() ([]model.Profile, error) { return list[model.Profile](v.tx, bucketProfiles) }

// User is one user by name, or ErrNotFound.
func (v *View) User(name string) (model.User, error) {
	return must[model.User](v.tx, bucketUsers, []byte(name))
}

// Token is a login or join token by the hash of its secret, or ErrNotFound.
// Whether it has expired is the caller's question.
func (v *View) Token(hash string) (model.Token, error) {
	return must[model.Token](v.tx, bucketTokens, []byte(hash))
}

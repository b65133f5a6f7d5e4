package store

import (
	"bytes"

	"github.com/theseusd/theseus/model"
)

// ClusterInit is the first command of a cluster's life.
type ClusterInit struct {
	Cluster model.Cluster `json:"cluster"`
	Admin   model.User    `json:"admin"`
}

// Probe changes nothing: a write that shows that writes work.
type Probe struct {
	Member string `json:"member"`
}

// MemberReport is what a member says of itself, at every start and change.
type MemberReport struct {
	Member model.Member `json:"member"`
}

// MemberRemove forgets a member that has left the Raft configuration.
type MemberRemove struct {
	ID string `json:"id"`
}

// TokenPut keeps a login or join token by its hash.
type TokenPut struct {
	Token model.Token `json:"token"`
}

// TokenPrune forgets tokens that expired before a moment, as RFC 3339 in UTC.
type TokenPrune struct {
	Before string `json:"before"`
}

func clusterOps() map[Op]op {
	return map[Op]op{
		OpClusterInit:  with(first, initCluster, ClusterInit{Admin: model.User{Name: "sample"}}),
		OpProbe:        with(first, func(entry, Probe) error { return nil }, Probe{}),
		OpMemberReport: with(first, reportMember, MemberReport{Member: model.Member{ID: "sample"}}),
		OpMemberRemove: with(first, removeMember, MemberRemove{ID: "sample"}),
		OpTokenPut:     with(first, putToken, TokenPut{Token: model.Token{Hash: "sample"}}),
		OpTokenPrune:   with(first, pruneTokens, TokenPrune{Before: "2000-01-01T00:00:00Z"}),
	}
}

func initCluster(e entry, c ClusterInit) error {
	if e.tx.Bucket(bucketRecords).Get(keyCluster) != nil {
		return ErrExists
	}
	if err := put(e.tx, bucketUsers, []byte(c.Admin.Name), c.Admin); err != nil {
		return err
	}
	return put(e.tx, bucketRecords, keyCluster, c.Cluster)
}

// reportMember takes nobody new in while an upgrade works: its plan is made.
func reportMember(e entry, c MemberReport) error {
	if e.tx.Bucket(bucketMembers).Get([]byte(c.Member.ID)) == nil {
		u, ok, err := get[model.Upgrade](e.tx, bucketRecords, keyUpgrade)
		if err != nil {
			return err
		}
		if ok && u.Phase.Status() == "working" {
			return ErrConflict
		}
	}
	return put(e.tx, bucketMembers, []byte(c.Member.ID), c.Member)
}

// removeMember also takes the member out of an upgrade's plan and turn: nobody
// waits for what is gone.
func removeMember(e entry, c MemberRemove) error {
	for _, key := range [][]byte{keyUpgrade, keyRelease} {
		u, ok, err := get[model.Upgrade](e.tx, bucketRecords, key)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := put(e.tx, bucketRecords, key, without(u, c.ID)); err != nil {
			return err
		}
	}
	return e.tx.Bucket(bucketMembers).Delete([]byte(c.ID))
}

func without(u model.Upgrade, id string) model.Upgrade {
	var rest []model.Progress
	for _, p := range u.Members {
		if p.ID != id {
			rest = append(rest, p)
		}
	}
	u.Members = rest
	if u.Turn != nil && u.Turn.Member == id {
		u.Turn = nil
	}
	return u
}

func putToken(e entry, c TokenPut) error {
	return put(e.tx, bucketTokens, []byte(c.Token.Hash), c.Token)
}

func pruneTokens(e entry, c TokenPrune) error {
	tokens, err := list[model.Token](e.tx, bucketTokens)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if bytes.Compare([]byte(t.Expires), []byte(c.Before)) < 0 {
			if err := e.tx.Bucket(bucketTokens).Delete([]byte(t.Hash)); err != nil {
				return err
			}
		}
	}
	return nil
}

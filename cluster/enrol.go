package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// EnrolRequest is what a joiner says of itself, over HTTPS, to any member.
type EnrolRequest struct {
	Token       string
	ID          string
	Name        string
	API         string
	Raft        string
	Version     string
	Image       string
	Platform    string
	Incarnation string
	Observer    bool   // it wants no vote
	CSR         string // PEM; the hosts in it are those of the certificate
}

// EnrolAnswer is what makes a joiner able to speak to the members.
type EnrolAnswer struct {
	CA          string // PEM
	Certificate string // PEM
	ClusterID   string
	Peers       []EnrolPeer
}

// EnrolPeer is a member to ask for admission.
type EnrolPeer struct {
	ID   string
	Raft string
}

func (r EnrolRequest) member() model.Member {
	return model.Member{ID: r.ID, Name: r.Name, API: r.API, Raft: r.Raft, Version: r.Version,
		Image: r.Image, Platform: r.Platform, Incarnation: r.Incarnation, Observer: r.Observer}
}

// Enrol gives a joiner with a valid token a certificate of this cluster. It is
// not a member by that: with the certificate it asks to be added. It may ask
// again. The refusals are Problems.
func (n *Node) Enrol(ctx context.Context, r EnrolRequest) (EnrolAnswer, error) {
	if err := n.ReadIndex(ctx); err != nil {
		return EnrolAnswer{}, err
	}
	record, err := n.admissible(r)
	if err != nil {
		return EnrolAnswer{}, err
	}
	public, hosts, err := readRequest([]byte(r.CSR))
	if err != nil {
		return EnrolAnswer{}, model.Problemf(model.Malformed, "join: read CSR: %w", err)
	}
	a, err := readAuthority(record.CACert, record.CAKey)
	if err != nil {
		return EnrolAnswer{}, err
	}
	cert, err := a.issue(public, memberSubject(r.ID, hosts), time.Now())
	if err != nil {
		return EnrolAnswer{}, err
	}
	if err := n.Note(ctx, fmt.Sprintf("enrolled %s (%s) at %s", r.Name, r.ID, r.Raft)); err != nil {
		return EnrolAnswer{}, err
	}
	n.log.Info("enrolled a joiner", "member", r.Name, "id", r.ID, "raft", r.Raft)
	answer := EnrolAnswer{CA: string(record.CACert), Certificate: string(cert), ClusterID: record.ID, Peers: []EnrolPeer{}}
	for _, s := range n.servers() {
		answer.Peers = append(answer.Peers, EnrolPeer{ID: string(s.ID), Raft: string(s.Address)})
	}
	return answer, nil
}

// admissible answers the cluster's record if r may join it now.
func (n *Node) admissible(r EnrolRequest) (record model.Cluster, err error) {
	err = n.Store.View(func(v *store.View) error {
		if err := checkToken(v, r.Token, time.Now()); err != nil {
			return err
		}
		if r.ID == "" || r.Name == "" || r.API == "" || r.Raft == "" || r.Incarnation == "" {
			return model.Problemf(model.Malformed, "join: ID, Name, API, Raft and Incarnation are needed")
		}
		if record, err = v.Cluster(); err != nil {
			return err
		}
		return errors.Join(frozen(v), taken(v, r.member()), n.suits(r.member(), record))
	})
	return record, err
}

// suits is why the version of a joiner does not go with the cluster's, or nil.
func (n *Node) suits(m model.Member, c model.Cluster) error {
	if err := tooOld(m, c); err != nil || n.MayJoin == nil {
		return err
	}
	if err := n.MayJoin(c.Version, m.Version); err != nil {
		return model.Problemf(model.Refused, "join: %s: %w", m.Name, err)
	}
	return nil
}

// tooOld refuses a joiner that cannot read all that the cluster may write.
func tooOld(m model.Member, c model.Cluster) error {
	at, err := semver.NewVersion(m.Version)
	if err != nil {
		return model.Problemf(model.Malformed, "join: version %q: %w", m.Version, err)
	}
	needed, err := semver.NewVersion(c.Version)
	if err != nil {
		return fmt.Errorf("cluster version %q: %w", c.Version, err)
	}
	if at.LessThan(needed) {
		return model.Problemf(model.Refused, "join: %s runs %s, and the cluster is at %s: start it with theseusd %s", m.Name, m.Version, c.Version, c.Version)
	}
	return nil
}

// legible asks a joiner up to which protocol level it reads before it is sent
// anything; one of an earlier build says nothing of levels.
func (n *Node) legible(ctx context.Context, m model.Member, c model.Cluster) error {
	n.calls.note([]EnrolPeer{{ID: m.ID, Raft: m.Raft}})
	p, err := n.ping(ctx, m.ID)
	if err != nil {
		return model.Problemf(model.Unavailable, "join: the leader asks %s at %s what it can read: %w", m.Name, m.Raft, err)
	}
	if p.Level < c.Level {
		return model.Problemf(model.Refused, "join: this build of %s reads up to protocol level %d, and the cluster is at %d: start %s with the theseusd that the members run",
			m.Version, p.Level, c.Level, m.Name)
	}
	return nil
}

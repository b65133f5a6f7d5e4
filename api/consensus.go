package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/theseusd/theseus/cluster"
	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func (a *API) peers(_ http.Header, r *http.Request) (int, any, error) {
	peers, err := a.Cluster.Peers(r.Context())
	return http.StatusOK, peers, err
}

// leader answers the id of the member that leads, as a JSON string.
func (a *API) leader(http.Header, *http.Request) (int, any, error) {
	id, ok := a.Cluster.Leader()
	if !ok {
		return 0, nil, model.Problemf(model.Unavailable, "no member leads: see `theseus system ha peers`")
	}
	return http.StatusOK, id, nil
}

func (a *API) ownID(http.Header, *http.Request) (int, any, error) {
	return http.StatusOK, a.Self.ID, nil
}

// haState is the state of the cluster and of the member that answers, in
// Digital Rebar's names; its clients refuse any other field.
type haState struct {
	LoadBalanced     bool
	Enabled          bool
	ConsensusEnabled bool
	ConsensusJoin    string
	VirtAddr         string
	ServerHostname   string
	ActiveUri        string
	Token            string
	HaID             string
	Valid            bool
	Roots            []struct{}

	ConsensusID         string
	VirtInterface       string
	VirtInterfaceScript string
	ConsensusAddr       string
	ApiUrl              string
	Passive             bool
	Observer            bool
}

func (a *API) consensusState(http.Header, *http.Request) (int, any, error) {
	s, err := a.ownState()
	return http.StatusOK, s, err
}

func (a *API) ownState() (haState, error) {
	leader, _ := a.Cluster.Leader()
	s := haState{ConsensusEnabled: true, Valid: true, Roots: []struct{}{}, ServerHostname: a.Self.Name,
		ConsensusID: a.Self.ID, ConsensusAddr: a.Self.Raft, ApiUrl: a.Self.API, Passive: leader != a.Self.ID}
	err := a.Store.View(func(v *store.View) error {
		c, err := v.Cluster()
		if err != nil {
			return err
		}
		members, err := v.Members()
		s.HaID, s.Enabled = c.ID, len(members) > 1
		for _, m := range members {
			if m.ID == leader {
				s.ActiveUri, s.ConsensusJoin = m.API, m.API
			}
			if m.ID == a.Self.ID {
				s.Observer = m.Observer
			}
		}
		return err
	})
	return s, err
}

// tokenRequest asks for a join token.
type tokenRequest struct {
	TTL string `json:"ttl"`
}

// joinToken is the answer: the secret is in no record and no log.
type joinToken struct {
	Token   string
	Expires string
}

func (a *API) newJoinToken(_ http.Header, r *http.Request) (int, any, error) {
	var ask tokenRequest
	if err := readStrict(r, &ask); err != nil {
		return 0, nil, err
	}
	var life time.Duration // the cluster chooses
	if ask.TTL != "" {
		var err error
		if life, err = time.ParseDuration(ask.TTL); err != nil || life <= 0 {
			return 0, nil, model.Problemf(model.Malformed, "ttl %q: want a duration such as 1h or 30m", ask.TTL)
		}
	}
	token, expires, err := a.Cluster.NewJoinToken(r.Context(), life)
	return http.StatusCreated, joinToken{Token: token, Expires: expires.UTC().Format(time.RFC3339)}, err
}

// enroll lets a joiner in: the join token in its body is its login.
func (a *API) enroll(_ http.Header, r *http.Request) (int, any, error) {
	var ask cluster.EnrolRequest
	if err := readStrict(r, &ask); err != nil {
		return 0, nil, err
	}
	answer, err := a.Cluster.Enrol(a.acting(r, "a join token").Context(), ask)
	return http.StatusOK, answer, err
}

// transferRequest asks for another leader: an id, a name, or any.
type transferRequest struct {
	To string `json:"to"`
}

func (a *API) transfer(_ http.Header, r *http.Request) (int, any, error) {
	var ask transferRequest
	if err := readStrict(r, &ask); err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, empty{}, a.Cluster.HandOver(r.Context(), ask.To)
}

func (a *API) removeMember(_ http.Header, r *http.Request) (int, any, error) {
	return http.StatusOK, empty{}, a.Cluster.Remove(r.Context(), chi.URLParam(r, "id"))
}

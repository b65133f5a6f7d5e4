package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/theseusd/theseus/model"
)

// haNode is one member in Digital Rebar's dump of the cluster's state.
type haNode struct {
	ConsensusID               string
	ConsensusAddr             string
	ApiUrl                    string
	Passive                   bool
	Observer                  bool
	Offline                   bool
	LastArtifactCommitHandled uint64
}

// fullState is the member's own state, and every member's.
type fullState struct {
	haState
	Nodes []haNode
}

func (a *API) fullState(_ http.Header, r *http.Request) (int, any, error) {
	own, err := a.ownState()
	if err != nil {
		return 0, nil, err
	}
	peers, err := a.Cluster.Peers(r.Context())
	if err != nil {
		return 0, nil, err
	}
	all := fullState{haState: own, Nodes: []haNode{}}
	for _, p := range peers {
		all.Nodes = append(all.Nodes, haNode{ConsensusID: p.ConsensusID, ConsensusAddr: p.ConsensusAddr, ApiUrl: p.ApiUrl,
			Passive: p.Passive, Observer: p.Observer, Offline: p.Offline, LastArtifactCommitHandled: p.Applied})
	}
	return http.StatusOK, all, nil
}

// How long failOverSafe may be asked to wait, as in Digital Rebar.
const (
	shortestFailOverWait = 50 * time.Millisecond
	longestFailOverWait  = 5 * time.Second
)

// failOverSafe says whether another voter has all that the leader had when this
// was asked, so that the cluster would go on at once without the leader.
func (a *API) failOverSafe(_ http.Header, r *http.Request) (int, any, error) {
	wait := shortestFailOverWait
	if text := r.URL.Query().Get("waitFor"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < shortestFailOverWait || wait > longestFailOverWait {
			return 0, nil, model.Problemf(model.Malformed, "waitFor %q: want a duration from %s to %s", text, shortestFailOverWait, longestFailOverWait)
		}
	}
	over := time.After(wait)
	var target uint64
	for {
		peers, err := a.Cluster.Peers(r.Context())
		if err != nil {
			return 0, nil, err
		}
		if i := slices.IndexFunc(peers, func(p model.Peer) bool { return p.Leader }); i >= 0 && target == 0 {
			target = peers[i].Applied
		}
		if target > 0 && slices.ContainsFunc(peers, func(p model.Peer) bool { return p.Voter && !p.Leader && !p.Offline && p.Applied >= target }) {
			return http.StatusOK, true, nil
		}
		select {
		case <-time.After(shortestFailOverWait / 5):
		case <-over:
			return http.StatusOK, false, nil
		case <-r.Context().Done():
			return 0, nil, r.Context().Err()
		}
	}
}

// introduction would hand out the keys of the cluster.
func (a *API) introduction(http.Header, *http.Request) (int, any, error) {
	return 0, nil, model.Problemf(model.Forbidden,
		"an introduction would hold the private keys of the cluster, which never leave the members: make a join token instead (`theseus system ha join-token`, POST /api/v3/system/consensus/tokens)")
}

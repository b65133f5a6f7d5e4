package client

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/model"
)

// Via is the same client, asking a member by its name or id, which the member
// asked now is asked for. The certificate is verified as that one's is.
func (c *Client) Via(ctx context.Context, member string) (*Client, error) {
	var peers []model.Peer
	if _, err := c.Read(ctx, "system/consensus/peers", nil, &peers); err != nil {
		return nil, fmt.Errorf("look for member %s: %w", member, err)
	}
	i := slices.IndexFunc(peers, func(p model.Peer) bool { return p.Name == member || p.ConsensusID == member })
	if i < 0 {
		return nil, model.Problemf(model.NotFound, "there is no member %q at %s; there are %s", member, c.Endpoint(), named(peers))
	}
	via, err := c.at(peers[i].ApiUrl)
	if err != nil {
		return nil, fmt.Errorf("ask member %s: %w", member, err)
	}
	return via, nil
}

func named(peers []model.Peer) string {
	var names []string
	for _, p := range peers {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

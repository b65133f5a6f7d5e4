package client

import (
	"context"
	"net/url"
	"strings"
)

// Plan reads the way to a version into into, over the versions that the caller
// knows of. An empty to is the version that is staged.
func (c *Client) Plan(ctx context.Context, to string, known []string, into any) error {
	query := url.Values{}
	if to != "" {
		query.Set("to", to)
	}
	if len(known) > 0 {
		query.Set("known", strings.Join(known, ","))
	}
	_, err := c.Read(ctx, "system/upgrade/plan", query, into)
	return err
}

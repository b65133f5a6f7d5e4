package client

import (
	"context"
	"net/http"
)

// Verify has every member asked what it runs, and written and read through, and
// reads the report into into. A member that is silent holds it up for seconds.
func (c *Client) Verify(ctx context.Context, into any) error {
	const path = "system/upgrade/verify"
	a, err := c.do(ctx, request{method: http.MethodPost, path: path})
	if err != nil {
		return err
	}
	return decode(path, a.body, into)
}

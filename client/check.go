package client

import (
	"context"
	"net/http"
)

// Check has every member try the staged version out, and reads the report into
// into. It takes as long as the trial runs do.
func (c *Client) Check(ctx context.Context, into any) error {
	const path = "system/upgrade/check"
	a, err := c.do(ctx, request{method: http.MethodPost, path: path})
	if err != nil {
		return err
	}
	return decode(path, a.body, into)
}

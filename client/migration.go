package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// Progress reads how far the data of the upgrade is into into.
func (c *Client) Progress(ctx context.Context, into any) error {
	_, err := c.Read(ctx, "system/upgrade/progress", nil, into)
	return err
}

// Complete completes an upgrade that does not do so by itself, without waiting for
// the members named, and reads its state into into. It takes as long as the final
// check of what was migrated does.
func (c *Client) Complete(ctx context.Context, without []string, into any) error {
	const path = "system/upgrade/complete"
	raw, err := json.Marshal(map[string][]string{"without": without})
	if err != nil {
		return err
	}
	a, err := c.do(ctx, request{method: http.MethodPost, path: path, body: bytes.NewReader(raw), size: int64(len(raw)),
		header: http.Header{"Content-Type": {"application/json"}}})
	if err != nil {
		return err
	}
	return decode(path, a.body, into)
}

package client

import (
	"context"
	"net/http"
)

// Cancel takes back a start that was scheduled; what is staged stays so. A second
// call is refused with 404.
func (c *Client) Cancel(ctx context.Context) error {
	_, err := c.Write(ctx, http.MethodDelete, "system/upgrade/run", nil, nil)
	return err
}

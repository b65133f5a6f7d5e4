package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/theseusd/theseus/model"
)

// Download writes what a path answers to w as it comes, however long that takes.
// It reports an error when less came than was promised.
func (c *Client) Download(ctx context.Context, path string, w io.Writer) (size int64, err error) {
	r := request{method: http.MethodGet, path: path}
	req, err := c.prepare(ctx, r)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "*/*")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, c.unreachable(ctx, r, err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
		if err != nil {
			return 0, c.unreachable(ctx, r, err)
		}
		if res.StatusCode >= 400 {
			return 0, refusal(res.StatusCode, body)
		}
		return 0, strange(res.StatusCode, body)
	}
	if size, err = io.Copy(w, res.Body); err != nil {
		return size, fmt.Errorf("receive %s: %w", path, err)
	}
	return size, nil
}

// Restore sends a backup to a new cluster, of which size bytes. Every login has
// ended when it returns.
func (c *Client) Restore(ctx context.Context, body io.Reader, size int64) (r model.Restored, err error) {
	up := uploading(body, size)
	up.path = "backups/restore"
	a, err := c.do(ctx, up)
	if err != nil {
		return r, err
	}
	return r, decode(up.path, a.body, &r)
}

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Sending is one upload under way through one member, over a connection of its
// own that the test cuts when it likes.
type Sending struct {
	conn *Conn
	Sent int64 // bytes of the archive
}

// BeginUpload sends the head of an upload of size bytes that begins at byte at.
func (c *Cluster) BeginUpload(ctx context.Context, m *Member, digest string, at, size int64) (*Sending, error) {
	more := fmt.Sprintf("Content-Length: %d\r\n", size-at)
	if at > 0 {
		more += fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", at, size-1, size)
	}
	return c.begin(ctx, m, stagePath+"?sha256="+digest, more)
}

// begin sends the head of a POST.
func (c *Cluster) begin(ctx context.Context, m *Member, path, more string) (*Sending, error) {
	conn, err := Dial(ctx, m.API, c.CA)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn.tls, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n%s\r\n", path, m.API, c.Auth, more)
	return &Sending{conn: conn}, err
}

// Send sends the next bytes.
func (s *Sending) Send(from io.Reader) error {
	n, err := io.Copy(s.conn.tls, from)
	s.Sent += n
	return err
}

// Answer reads what the member answers.
func (s *Sending) Answer() (Answer, error) { return s.conn.read("POST") }

// Cut closes the connection.
func (s *Sending) Cut() error { return s.conn.Close() }

// Received is how much of an upload the cluster has, as m says.
func (c *Cluster) Received(ctx context.Context, m *Member, digest string) (int64, error) {
	a, err := c.Do(ctx, m, Request{Method: "GET", Path: stagePath + "?sha256=" + digest})
	if err != nil {
		return 0, err
	}
	switch a.Status {
	case http.StatusNotFound:
		return 0, nil
	case http.StatusOK:
		var got struct{ Size int64 }
		return got.Size, json.Unmarshal(a.Body, &got)
	}
	return 0, problem(a)
}

// SendRest uploads what the cluster lacks of the archive in file through m, and
// answers what m answers and how many bytes that took.
func (c *Cluster) SendRest(ctx context.Context, m *Member, file, digest string) (a Answer, sent int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return a, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return a, 0, err
	}
	at, err := c.Received(ctx, m, digest)
	if err != nil {
		return a, 0, err
	}
	s, err := c.BeginUpload(ctx, m, digest, at, info.Size())
	if err != nil {
		return a, 0, err
	}
	defer s.Cut()
	if err := s.Send(io.NewSectionReader(f, at, info.Size()-at)); err != nil {
		return a, s.Sent, err
	}
	a, err = s.Answer()
	return a, s.Sent, err
}

// digestOf is the SHA-256 of a file, in hex.
func digestOf(file string) (string, error) {
	image, err := FileImage(file)
	digest, ok := strings.CutPrefix(image, "sha256:")
	if err == nil && !ok {
		err = errors.New("no digest: " + image)
	}
	return digest, err
}

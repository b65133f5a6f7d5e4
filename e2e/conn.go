package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Conn is one TLS connection to a member's API. It writes requests itself, one
// after the other, and never sends one again: net/http's Transport would.
type Conn struct {
	tls  *tls.Conn
	in   *bufio.Reader
	host string
}

// Request is one HTTP request. Size -1 sends the body chunked.
type Request struct {
	Method string
	Path   string // with the query
	Auth   string // the whole Authorization header; empty: none
	Body   io.Reader
	Size   int64
}

// errUnsent is of a request of which the member cannot have got the whole: its
// connection ended before.
var errUnsent = errors.New("not sent")

// small says that r goes out in one write, head and body.
func (r Request) small() bool { return r.Body != nil && r.Size >= 0 && r.Size <= 4<<10 }

// Answer is one HTTP response, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Close  bool // the member said that it closes the connection
}

// Trust reads the CA certificate in file.
func Trust(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the cluster's CA: %s holds no certificate", file)
	}
	return pool, nil
}

// Dial connects to addr and finishes the TLS handshake.
func Dial(ctx context.Context, addr string, ca *x509.CertPool) (*Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	tcp, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := tls.Client(tcp, &tls.Config{RootCAs: ca, ServerName: host, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13})
	if err := c.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, fmt.Errorf("handshake with %s: %w", addr, err)
	}
	return &Conn{tls: c, in: bufio.NewReader(c), host: addr}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.tls.Close() }

// Do sends r and reads its answer. A member may answer before it has read the
// whole body; the answer counts, not the rest of the body.
func (c *Conn) Do(ctx context.Context, r Request) (Answer, error) {
	stop := context.AfterFunc(ctx, func() { c.tls.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if r.Body == nil || r.small() {
		return c.finish(ctx, r, c.send(r))
	}
	sent := make(chan error, 1)
	go func() { sent <- c.send(r) }()
	a, err := c.read(r.Method)
	if err != nil {
		c.Close() // so that a send that is stuck ends
		err = errors.Join(err, <-sent)
		return a, explain(ctx, err)
	}
	if a.Close {
		c.Close()
	}
	<-sent
	return a, nil
}

func (c *Conn) finish(ctx context.Context, r Request, err error) (Answer, error) {
	if err != nil {
		return Answer{}, explain(ctx, fmt.Errorf("send: %w: %w", errUnsent, err))
	}
	a, err := c.read(r.Method)
	return a, explain(ctx, err)
}

// explain names the end of ctx rather than the deadline that it set.
func explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
	}
	return err
}

func (c *Conn) send(r Request) error {
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n", r.Method, r.Path, c.host)
	if r.Auth != "" {
		fmt.Fprintf(&head, "Authorization: %s\r\n", r.Auth)
	}
	switch {
	case r.Body == nil:
	case r.Size < 0:
		head.WriteString("Transfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\n")
	default:
		fmt.Fprintf(&head, "Content-Length: %d\r\nContent-Type: application/json\r\n", r.Size)
	}
	head.WriteString("\r\n")
	if r.small() {
		if _, err := io.CopyN(&head, r.Body, r.Size); err != nil {
			return err
		}
		_, err := c.tls.Write(head.Bytes())
		return err
	}
	if _, err := c.tls.Write(head.Bytes()); err != nil || r.Body == nil {
		return err
	}
	if r.Size < 0 {
		return c.sendChunked(r.Body)
	}
	_, err := io.CopyN(c.tls, r.Body, r.Size)
	return err
}

func (c *Conn) sendChunked(body io.Reader) error {
	piece := make([]byte, 256<<10)
	for {
		n, err := body.Read(piece)
		if n > 0 {
			frame := append([]byte(strconv.FormatInt(int64(n), 16)+"\r\n"), piece[:n]...)
			if _, err := c.tls.Write(append(frame, "\r\n"...)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			_, err := c.tls.Write([]byte("0\r\n\r\n"))
			return err
		}
		if err != nil {
			return err
		}
	}
}

func (c *Conn) read(method string) (Answer, error) {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read the body of the answer %d: %w", resp.StatusCode, err)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Close: resp.Close}, nil
}

// Text makes a request whose body is text.
func Text(method, path, auth, body string) Request {
	return Request{Method: method, Path: path, Auth: auth, Body: strings.NewReader(body), Size: int64(len(body))}
}

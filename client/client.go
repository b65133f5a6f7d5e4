package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says which member to ask, and as whom.
type Config struct {
	Endpoint string   // https://host:port of any member
	Others   []string // of further members, to go on through when that one is gone
	Token    string   // bearer token; when set, User and Password are not used
	User     string
	Password string
	CA       []byte        // PEM certificates to trust; none: those of the system
	Insecure bool          // take any certificate
	Patience time.Duration // how long reads are tried again when nothing answers; 0: one try
}

// Client asks one member. It may be used by many goroutines at once.
type Client struct {
	base      *url.URL
	authorize func(*http.Request)
	http      *http.Client
	patience  time.Duration
	others    []*Client
}

// New makes a client; nothing is sent yet.
func New(c Config) (*Client, error) {
	base, err := parseEndpoint(c.Endpoint)
	if err != nil {
		return nil, err
	}
	trust, err := trust(c)
	if err != nil {
		return nil, err
	}
	made := &Client{base: base, authorize: authorization(c), http: connections(trust), patience: c.Patience}
	for _, endpoint := range c.Others {
		other, err := made.at(endpoint)
		if err != nil {
			return nil, err
		}
		made.others = append(made.others, other)
	}
	return made, nil
}

// Close drops the connections that are idle. The client may still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint is the URL of the member that is asked.
func (c *Client) Endpoint() string { return c.base.String() }

// at is the same client, asking another member of the same cluster.
func (c *Client) at(endpoint string) (*Client, error) {
	base, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	other := *c
	other.base, other.others = base, nil
	return &other, nil
}

// parseEndpoint takes https only: a login must not cross the network in clear.
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("endpoint %q: want https://host:port", s)
	}
	return u, nil
}

func trust(c Config) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if len(c.CA) == 0 {
		return t, nil
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(c.CA) {
		return nil, errors.New("read the CA certificate: no PEM certificate in it")
	}
	return t, nil
}

func authorization(c Config) func(*http.Request) {
	return func(r *http.Request) {
		switch {
		case c.Token != "":
			r.Header.Set("Authorization", "Bearer "+c.Token)
		case c.User != "":
			r.SetBasicAuth(c.User, c.Password)
		}
	}
}

// connections are HTTP/1.1 only, as the API port is: a Transport with its own
// TLS configuration does not ask for HTTP/2 (net/http, Transport.onceSetNextProtoDefaults).
// Redirects are not followed: no member sends one, and a login must not travel along.
func connections(t *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:       t,
			TLSHandshakeTimeout:   5 * time.Second,
			ExpectContinueTimeout: 5 * time.Second,
			IdleConnTimeout:       30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

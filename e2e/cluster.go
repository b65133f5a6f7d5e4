package e2e

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/theseusd/theseus/model"
)

// Plan is what a cluster is made of.
type Plan struct {
	Dir        string // everything of it lies below
	Bin        string // with the theseusd and theseus that its members start with
	TrustedKey string // file; empty: unsigned packages are allowed
	Size       int    // 0: three
	APIPort    int    // of every member; 0: free ones
	User       *syscall.Credential
	Env        []string
	// Prepare is called with each member when it is installed, before its first start.
	Prepare func(*Member) error
}

// Cluster is members that were joined, and an operator's login.
type Cluster struct {
	Members []*Member
	CA      *x509.CertPool
	CAFile  string
	Auth    string // an Authorization header
	token   string
	cli     string
}

// Start makes a cluster: the first member alone, the others joined by token. A
// cluster that could not be made whole is returned with the error, so that its
// logs can be read; Stop it all the same.
func Start(ctx context.Context, p Plan) (*Cluster, error) {
	c := &Cluster{cli: filepath.Join(p.Bin, "theseus")}
	if p.Size == 0 {
		p.Size = 3
	}
	for i := range p.Size {
		m, err := p.member(i)
		if err != nil {
			return c, err
		}
		c.Members = append(c.Members, m)
	}
	if err := c.found(ctx, c.Members[0]); err != nil {
		return c, fmt.Errorf("start the first member: %w", err)
	}
	for _, m := range c.Members[1:] {
		if err := c.Join(ctx, m); err != nil {
			return c, fmt.Errorf("join %s: %w", m.Name, err)
		}
	}
	return c, nil
}

// member installs member i, on a loopback address of its own.
func (p Plan) member(i int) (*Member, error) {
	name, host := fmt.Sprintf("n%d", i+1), fmt.Sprintf("127.0.0.%d", i+1)
	m := &Member{Name: name, Dir: filepath.Join(p.Dir, name), User: p.User, Env: p.Env, Args: []string{"--allow-unsigned"}}
	if p.TrustedKey != "" {
		m.Args = []string{"--trusted-key", p.TrustedKey}
	}
	if err := m.settle(host, p.APIPort); err != nil {
		return nil, err
	}
	if err := m.install(p.Bin); err != nil || p.Prepare == nil {
		return m, err
	}
	return m, p.Prepare(m)
}

// found starts the member that makes the cluster and logs in.
func (c *Cluster) found(ctx context.Context, m *Member) error {
	if err := m.Start(); err != nil {
		return err
	}
	if err := m.AwaitReady(ctx); err != nil {
		return err
	}
	c.CAFile = filepath.Join(m.Data(), "tls", "ca.pem")
	var err error
	if c.CA, err = Trust(c.CAFile); err != nil {
		return err
	}
	return c.logIn(ctx, m)
}

// logIn asks once for a token: a password is slow to check on purpose.
func (c *Cluster) logIn(ctx context.Context, m *Member) error {
	password, err := m.Password()
	if err != nil {
		return err
	}
	c.Auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+password))
	var answer struct{ Token string }
	if err := c.Get(ctx, m, "/api/v3/users/admin/token?ttl=86400", &answer); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	c.token, c.Auth = answer.Token, "Bearer "+answer.Token
	return nil
}

// Password is the admin's, as the first start of m wrote it.
func (m *Member) Password() (string, error) {
	raw, err := os.ReadFile(filepath.Join(m.Data(), "admin-password"))
	return strings.TrimSpace(string(raw)), err
}

// Join starts m with a join token, and waits until it is a voter and ready.
func (c *Cluster) Join(ctx context.Context, m *Member) error {
	if err := c.Invite(ctx, m); err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	if err := m.AwaitReady(ctx); err != nil {
		return err
	}
	return c.AwaitVoter(ctx, m)
}

// Invite gives m a join token and the flags to use it.
func (c *Cluster) Invite(ctx context.Context, m *Member) error {
	token, err := c.CLI(ctx, c.Members[0], "system", "ha", "join-token")
	if err != nil {
		return err
	}
	return c.invited(m, token)
}

// invited gives m a join token that was made before.
func (c *Cluster) invited(m *Member, token string) error {
	file := filepath.Join(m.Dir, "join-token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return err
	}
	m.Args = append(m.Args, "--join", c.Members[0].Endpoint(), "--join-token-file", file)
	return m.give(file)
}

// AwaitVoter waits until m is one of those that vote.
func (c *Cluster) AwaitVoter(ctx context.Context, m *Member) error {
	return Until(ctx, m.Name+" to vote", func() (bool, error) {
		peers, err := c.Peers(ctx, c.Members[0])
		return voter(peers, m.Name), err
	})
}

func voter(peers []model.Peer, name string) bool {
	for _, p := range peers {
		if p.Name == name {
			return p.Voter
		}
	}
	return false
}

// Stop kills everything that runs a binary of a member, watchers included.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, m := range c.Members {
		errs = append(errs, m.Kill(ctx))
	}
	return errors.Join(errs...)
}

// Close stops c for good: what was kept for its members is free again.
func (c *Cluster) Close(ctx context.Context) error {
	errs := []error{c.Stop(ctx)}
	for _, m := range c.Members {
		for _, port := range m.ports {
			errs = append(errs, port.Close())
		}
	}
	return errors.Join(errs...)
}

// Do sends one request to m over a connection of its own.
func (c *Cluster) Do(ctx context.Context, m *Member, r Request) (Answer, error) {
	conn, err := Dial(ctx, m.API, c.CA)
	if err != nil {
		return Answer{}, fmt.Errorf("connect to %s: %w", m.Name, err)
	}
	defer conn.Close()
	r.Auth = c.Auth
	a, err := conn.Do(ctx, r)
	if err != nil {
		return a, fmt.Errorf("%s %s on %s: %w", r.Method, r.Path, m.Name, err)
	}
	return a, nil
}

// Get reads JSON from m.
func (c *Cluster) Get(ctx context.Context, m *Member, path string, into any) error {
	a, err := c.Do(ctx, m, Request{Method: "GET", Path: path})
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("GET %s on %s: %w", path, m.Name, problem(a))
	}
	return json.Unmarshal(a.Body, into)
}

// problem is a refusal in the shape that clients know, as an error.
func problem(a Answer) error {
	var e model.Error
	if err := json.Unmarshal(a.Body, &e); err != nil || e.Code != a.Status || len(e.Messages) == 0 {
		return unexpected(a)
	}
	return &e
}

// CreateProfile creates an empty profile through m.
func (c *Cluster) CreateProfile(ctx context.Context, m *Member, name string) error {
	a, err := c.Do(ctx, m, Text("POST", "/api/v3/profiles", "", `{"Name":"`+name+`"}`))
	if err == nil && a.Status != http.StatusCreated {
		err = fmt.Errorf("create profile %s: %w", name, problem(a))
	}
	return err
}

// Peers is the cluster as m shows it.
func (c *Cluster) Peers(ctx context.Context, m *Member) (peers []model.Peer, err error) {
	err = c.Get(ctx, m, "/api/v3/system/consensus/peers", &peers)
	return peers, err
}

// Leader is the member that m says leads.
func (c *Cluster) Leader(ctx context.Context, m *Member) (*Member, error) {
	peers, err := c.Peers(ctx, m)
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.Leader {
			return c.Named(p.Name), nil
		}
	}
	return nil, errors.New("there is no leader")
}

// Transfer hands leadership to m, and waits until every member says so.
func (c *Cluster) Transfer(ctx context.Context, m *Member) error {
	a, err := c.Do(ctx, c.Members[0], Text("POST", "/api/v3/system/consensus/transfer", "", `{"to":"`+m.Name+`"}`))
	if err != nil {
		return err
	}
	if a.Status != http.StatusAccepted {
		return fmt.Errorf("hand leadership to %s: %w", m.Name, problem(a))
	}
	return Until(ctx, m.Name+" to lead", func() (bool, error) {
		for _, asked := range c.Members {
			if leader, err := c.Leader(ctx, asked); err != nil || leader != m {
				return false, err
			}
		}
		return true, nil
	})
}

// Named is the member of that name, or nil.
func (c *Cluster) Named(name string) *Member {
	for _, m := range c.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Followers are the members that do not lead.
func (c *Cluster) Followers(ctx context.Context) ([]*Member, error) {
	leader, err := c.Leader(ctx, c.Members[0])
	if err != nil {
		return nil, err
	}
	var rest []*Member
	for _, m := range c.Members {
		if m != leader {
			rest = append(rest, m)
		}
	}
	return rest, nil
}

// CLI runs theseus against m and answers its stdout.
func (c *Cluster) CLI(ctx context.Context, m *Member, args ...string) (string, error) {
	return output(ctx, "", c.Environment(m), c.cli, args...)
}

// Environment is what theseus needs to talk to m as an operator.
func (c *Cluster) Environment(m *Member) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.Dir,
		"THESEUS_ENDPOINT=" + m.Endpoint(), "THESEUS_TOKEN=" + c.token, "THESEUS_CA_CERT=" + c.CAFile}
}

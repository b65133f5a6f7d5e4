package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// unreachable says that a member gave no answer.
type unreachable struct {
	member string
	cause  error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("member %s does not answer: %v", e.member, e.cause)
}
func (e *unreachable) Unwrap() error { return e.cause }

// Call asks a member, or this one, and decodes its answer into out, which may be
// nil. A *model.Problem that the member answered comes back as one. What is
// asked must bear being asked again: the connection may break in between.
func (n *Node) Call(ctx context.Context, member, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	if member == n.Self.ID {
		return n.calls.askSelf(ctx, path, body, out)
	}
	return n.calls.post(ctx, member, path, body, out)
}

func (c *calls) askSelf(ctx context.Context, path string, body []byte, out any) error {
	a, err := c.answerer(path)
	if err != nil {
		return err
	}
	answer, err := a(ctx, c.node.Self.ID, body)
	if err != nil || out == nil {
		return err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("call %s: %w", path, err)
	}
	return readAnswer(path, raw, out)
}

// bare is the cause alone: the address that net/http puts around it names the
// member by its id, and says nothing to people.
func bare(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// post asks another member.
func (c *calls) post(ctx context.Context, member, path string, body []byte, out any) error {
	answer, err := c.send(ctx, member, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, callLimit+1))
	if err != nil {
		return &unreachable{member: member, cause: err}
	}
	if len(raw) > callLimit {
		return fmt.Errorf("call %s: the answer is longer than %d bytes", path, callLimit)
	}
	if answer.StatusCode != http.StatusOK {
		err := readFailure(path, raw)
		c.node.heed(err)
		return err
	}
	return readAnswer(path, raw, out)
}

// readAnswer reads what it knows: a newer member may say more.
func readAnswer(path string, raw []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("call %s: read the answer: %w", path, err)
	}
	return nil
}

func readFailure(path string, raw []byte) error {
	var f failure
	if err := json.Unmarshal(raw, &f); err != nil {
		return fmt.Errorf("call %s: read the error: %w", path, err)
	}
	text := strings.Join(f.Messages, "; ")
	switch {
	case f.Elsewhere:
		return &elsewhere{leader: f.Leader, cause: errors.New(text)}
	case f.Gate:
		return fmt.Errorf("%s: %w", strings.TrimSuffix(text, ": "+store.ErrGate.Error()), store.ErrGate)
	}
	if f.Kind == "" {
		return errors.New(text)
	}
	p := &model.Problem{Kind: f.Kind, Model: f.Model, Key: f.Key, Messages: f.Messages}
	if f.Stranger {
		return &turnedAway{cause: p, byLeader: true}
	}
	return p
}

// dial connects to the member whose id stands for the host in a call's URL.
func (c *calls) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	id, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	to, err := c.address(id)
	if err != nil {
		return nil, err
	}
	return c.node.port.dial(ctx, to, protocolCall, id)
}

func (c *calls) address(id string) (string, error) {
	if s, there := find(c.node.servers(), id); there {
		return string(s.Address), nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if to := c.book[id]; to != "" {
		return to, nil
	}
	return "", fmt.Errorf("there is no member %s", id)
}

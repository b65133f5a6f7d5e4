package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// The calls that members make of each other. docs/protocol.md lists them.
const (
	pathPing      = "/ping"
	pathPropose   = "/propose"
	pathReadIndex = "/read-index"
	pathAwait     = "/await"
	pathTransfer  = "/transfer"
	pathJoin      = "/join"
	pathAdd       = "/add"
	pathRemove    = "/remove"
	pathFarewell  = "/removed"
)

// callLimit bounds a question and an answer: a chunk with its header fits.
const callLimit = 1 << 20

// answerer answers a call; peer is the id of the member that asks.
type answerer func(ctx context.Context, peer string, body []byte) (any, error)

// calls are both sides of the member-to-member calls.
type calls struct {
	node   *Node
	server *http.Server
	client *http.Client

	// mu is held to read or change what follows.
	mu      sync.RWMutex
	answers map[string]answerer
	streams map[string]streamer
	book    map[string]string // raft addresses by id, beside raft's configuration: for a joiner
}

type peerKey struct{}

func newCalls(n *Node) *calls {
	c := &calls{node: n, book: map[string]string{}, streams: map[string]streamer{}}
	c.server = &http.Server{
		Handler: c, ReadHeaderTimeout: handshakeLimit, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, l net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, l.(*peerConn).id)
		},
	}
	c.client = &http.Client{Transport: &http.Transport{
		DialContext: c.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, DisableCompression: true}}
	c.answers = map[string]answerer{
		pathPing:      func(context.Context, string, []byte) (any, error) { return n.pong(), nil },
		pathPropose:   n.answerPropose,
		pathReadIndex: n.answerReadIndex,
		pathAwait:     n.answerAwait,
		pathTransfer:  n.answerTransfer,
		pathRemove:    n.answerRemove,
		pathFarewell:  n.answerFarewell,
		pathJoin:      n.answerJoin,
		pathAdd:       n.answerAdd,
	}
	return c
}

// Handle has answer reply to the calls of a path. It may be asked the same thing
// again. Register before members are told of this one, at the start.
func (n *Node) Handle(path string, answer func(ctx context.Context, question json.RawMessage) (any, error)) {
	n.calls.mu.Lock()
	defer n.calls.mu.Unlock()
	n.calls.answers[path] = func(ctx context.Context, _ string, body []byte) (any, error) { return answer(ctx, body) }
}

func (c *calls) answerer(path string) (answerer, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a, ok := c.answers[path]
	if !ok {
		return nil, model.Problemf(model.NotFound, "member %s does not answer %s: it runs another version, or is starting", c.node.Self.Name, path)
	}
	return a, nil
}

func (c *calls) serve() {
	c.server.Serve(c.node.port.calls) // always an error, says net/http: the lane is closed
}

func (c *calls) close() {
	c.server.Close()
	c.client.CloseIdleConnections()
}

// ServeHTTP answers one call or fetch.
func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer, question, err := c.question(r)
	if err != nil {
		reply(w, nil, err)
		return
	}
	if s := c.streamer(r.URL.Path); s != nil {
		if err := c.streamTo(w, r, s, question); err != nil {
			reply(w, nil, err)
		}
		return
	}
	a, err := c.answerer(r.URL.Path)
	if err != nil {
		reply(w, nil, err)
		return
	}
	answer, err := a(r.Context(), peer, question)
	reply(w, answer, err)
}

func (c *calls) streamer(path string) streamer {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.streams[path]
}

func reply(w http.ResponseWriter, answer any, err error) {
	status := http.StatusOK
	if err != nil {
		status, answer = http.StatusInternalServerError, failureOf(err)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"messages":["the answer has no JSON"]}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	w.Write(raw)
}

// question is who asks what, once it is known that they may.
func (c *calls) question(r *http.Request) (peer string, body []byte, err error) {
	peer, _ = r.Context().Value(peerKey{}).(string)
	if err := c.node.admit(peer); err != nil && r.URL.Path != pathJoin {
		err = model.Problemf(model.Forbidden, "call %s: %w", r.URL.Path, err)
		return peer, nil, &turnedAway{cause: err, byLeader: c.node.Leading()}
	}
	if r.ContentLength < 0 || r.ContentLength > callLimit {
		return peer, nil, model.Problemf(model.TooLarge, "call %s: a body of %d bytes; the limit is %d", r.URL.Path, r.ContentLength, callLimit)
	}
	body = make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return peer, nil, model.Problemf(model.Malformed, "read the call %s: %w", r.URL.Path, err)
	}
	return peer, body, nil
}

// failure is an error on its way between members.
type failure struct {
	Kind     model.Kind `json:"kind,omitempty"`
	Model    string     `json:"model,omitempty"`
	Key      string     `json:"key,omitempty"`
	Messages []string   `json:"messages"`

	Elsewhere bool   `json:"elsewhere,omitempty"` // the member does not lead
	Leader    string `json:"leader,omitempty"`    // who does
	Gate      bool   `json:"gate,omitempty"`      // the cluster version does not allow it yet
	Stranger  bool   `json:"stranger,omitempty"`  // the leader says that the asker is no member
}

func failureOf(err error) failure {
	f := failure{Messages: []string{err.Error()}, Gate: errors.Is(err, store.ErrGate)}
	var moved *elsewhere
	if errors.As(err, &moved) {
		f.Elsewhere, f.Leader, f.Messages = true, moved.leader, []string{moved.cause.Error()}
	}
	var away *turnedAway
	f.Stranger = errors.As(err, &away) && away.byLeader
	var p *model.Problem
	if errors.As(err, &p) {
		f.Kind, f.Model, f.Key, f.Messages = p.Kind, p.Model, p.Key, p.Messages
	}
	return f
}

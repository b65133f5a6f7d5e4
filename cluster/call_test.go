package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

func TestACallBringsBackAnswersAndProblems(t *testing.T) {
	h := newCluster(t, 2)
	problem := model.Problemf(model.Refused, "too little room on %s", "/data").About("members", "n1")
	for _, m := range h.members {
		m.node.Handle("/test/echo", func(_ context.Context, in json.RawMessage) (any, error) { return in, nil })
		m.node.Handle("/test/refuse", func(context.Context, json.RawMessage) (any, error) { return nil, problem })
		m.node.Handle("/test/gate", func(context.Context, json.RawMessage) (any, error) {
			return nil, fmt.Errorf("not at 1.0.0: %w", store.ErrGate)
		})
	}
	for _, to := range h.members { // itself among them
		var got string
		must(t, h.members[0].node.Call(h.ctx(), to.self.ID, "/test/echo", "hello", &got))
		if got != "hello" {
			t.Errorf("echo: %q", got)
		}
		var p *model.Problem
		if err := h.members[0].node.Call(h.ctx(), to.self.ID, "/test/refuse", nil, nil); !errors.As(err, &p) || !cmp.Equal(p, problem) {
			t.Errorf("a problem came back as %v", err)
		}
		if err := h.members[0].node.Call(h.ctx(), to.self.ID, "/test/gate", nil, nil); !errors.Is(err, store.ErrGate) || strings.Count(err.Error(), "closed until") != 1 {
			t.Errorf("a closed gate came back as %v", err)
		}
		if err := h.members[0].node.Call(h.ctx(), to.self.ID, "/test/none", nil, nil); model.KindOf(err) != model.NotFound {
			t.Errorf("a path that nobody answers: %v", err)
		}
	}
	if err := h.members[0].node.Ping(h.ctx(), "nobody"); err == nil {
		t.Error("somebody who is not there answered a ping")
	}
}

func TestBadClientsDoNotHoldUpTheMemberPort(t *testing.T) {
	h := newCluster(t, 2)
	to := h.members[0].self.Raft
	for range 2 * handshakesAtOnce { // that say nothing
		c, err := net.Dial("tcp", to)
		must(t, err)
		defer c.Close()
	}
	stranger := foreignKeys(t)
	for name, client := range map[string]*tls.Config{
		"without a certificate":           {InsecureSkipVerify: true, NextProtos: []string{protocolCall}},
		"with a certificate of elsewhere": {InsecureSkipVerify: true, NextProtos: []string{protocolRaft}, Certificates: []tls.Certificate{*stranger.member}},
		"with the API's certificate":      {InsecureSkipVerify: true, NextProtos: []string{protocolCall}, Certificates: []tls.Certificate{*h.members[1].keys.server}},
		"with an old TLS":                 {InsecureSkipVerify: true, NextProtos: []string{protocolCall}, Certificates: []tls.Certificate{*h.members[1].keys.member}, MaxVersion: tls.VersionTLS12},
		"naming no protocol":              {InsecureSkipVerify: true, Certificates: []tls.Certificate{*h.members[1].keys.member}},
		"naming an unknown protocol":      {InsecureSkipVerify: true, Certificates: []tls.Certificate{*h.members[1].keys.member}, NextProtos: []string{"h2"}},
	} {
		if talks(to, client) {
			t.Errorf("a client %s was served", name)
		}
	}
	good := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocolCall}, Certificates: []tls.Certificate{*h.members[1].keys.member}}
	eventually(t, "a good client is served", func() error {
		if !talks(to, good) {
			return errors.New("it is not")
		}
		return nil
	})
}

// talks says whether a client gets an answer to a ping.
func talks(to string, conf *tls.Config) bool {
	c, err := tls.Dial("tcp", to, conf)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patienceInTests))
	io.WriteString(c, "POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
	raw, _ := io.ReadAll(c)
	return strings.HasPrefix(string(raw), "HTTP/1.1 200")
}

func foreignKeys(t *testing.T) *Keys {
	t.Helper()
	k, err := OpenKeys(t.TempDir())
	must(t, err)
	cert, key, err := NewCA("another")
	must(t, err)
	must(t, k.renew(model.Cluster{CACert: cert, CAKey: key}, model.Member{ID: "x", Name: "x"}, nil, time.Now()))
	return k
}

func TestADialerKnowsWhomItReached(t *testing.T) {
	h := newCluster(t, 3)
	from, n2, n3 := h.members[0], h.members[1].self, h.members[2].self
	_, err := from.keys.dialTLS(h.ctx(), n2.Raft, protocolCall, n3.ID)
	if err == nil || !strings.Contains(err.Error(), "where "+n3.ID+" was expected") {
		t.Errorf("took one member for another: %v", err)
	}
	if _, err := foreignKeys(t).dialTLS(h.ctx(), n2.Raft, protocolCall, n2.ID); err == nil {
		t.Error("trusted a member of another cluster")
	}
}

func TestCertificatesAreRenewedWhenTheyMustAndOnlyThen(t *testing.T) {
	dir := t.TempDir()
	k, err := OpenKeys(dir)
	must(t, err)
	cert, key, err := NewCA("c")
	must(t, err)
	record, self, now := model.Cluster{CACert: cert, CAKey: key}, model.Member{ID: "id", Name: "n1"}, time.Now()
	serial := func() string { return k.member.Leaf.SerialNumber.String() + k.server.Leaf.SerialNumber.String() }
	renew := func(hosts []string, at time.Time) {
		t.Helper()
		must(t, k.renew(record, self, hosts, at))
	}
	renew([]string{"a", "127.0.0.1"}, now)
	first := serial()
	renew([]string{"127.0.0.1", "a"}, now.Add(59*24*time.Hour))
	if serial() != first {
		t.Error("renewed with more than a third of its life left")
	}
	if k, err = OpenKeys(dir); err != nil || serial() != first {
		t.Errorf("other certificates after opening again: %v", err)
	}
	renew([]string{"a", "127.0.0.1"}, now.Add(61*24*time.Hour))
	second := serial()
	renew([]string{"b"}, now.Add(61*24*time.Hour))
	if second == first || serial() == second {
		t.Error("not renewed for age, or not for another host")
	}
	third := serial()
	record.CACert, record.CAKey, err = NewCA("c")
	must(t, err)
	renew([]string{"b"}, now.Add(61*24*time.Hour))
	if serial() == third {
		t.Error("not renewed for another CA")
	}
	if len(k.server.Certificate) != 2 {
		t.Error("the API does not present its CA")
	}
	for _, name := range []string{"member.key", "server.key"} {
		info, err := os.Stat(k.path(name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestTheVeryFirstClientWaitsForACertificate(t *testing.T) {
	k, err := OpenKeys(t.TempDir())
	must(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: k.ServerCertificate})
	must(t, err)
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
			c.Close()
		}
		served <- err
	}()
	dialled := make(chan error, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			c.Close()
		}
		dialled <- err
	}()
	cert, key, err := NewCA("c")
	must(t, err)
	must(t, k.renew(model.Cluster{CACert: cert, CAKey: key}, model.Member{ID: "id", Name: "n1"}, []string{"127.0.0.1"}, time.Now()))
	must(t, <-dialled)
	must(t, <-served)
}

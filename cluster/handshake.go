package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// The protocols on the member-to-member port. A new version of one gets a new
// name, so that both can be served while an upgrade rolls.
const (
	protocolRaft = "theseus-raft/1"
	protocolCall = "theseus-call/1"
)

// handshakeLimit bounds a handshake, on either side.
const handshakeLimit = 5 * time.Second

// acceptTLS shakes hands with a client on the member-to-member port and answers
// who it is and which protocol it speaks.
func (k *Keys) acceptTLS(ctx context.Context, raw net.Conn) (c *tls.Conn, id, protocol string, err error) {
	t, err := k.trust()
	if err != nil {
		return nil, "", "", err
	}
	c = tls.Server(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{t.member},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: t.roots,
		NextProtos: []string{protocolRaft, protocolCall}, SessionTicketsDisabled: true,
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, "", "", err
	}
	state := c.ConnectionState()
	if state.NegotiatedProtocol == "" {
		return nil, "", "", errors.New("the client names no protocol")
	}
	id, err = memberID(state.PeerCertificates[0])
	return c, id, state.NegotiatedProtocol, err
}

// dialTLS connects to a member. Its certificate says which one it is: want, if
// that is not empty. The address is not looked for in the certificate, since
// addresses move and ids do not.
func (k *Keys) dialTLS(ctx context.Context, address, protocol, want string) (net.Conn, error) {
	t, err := k.trust()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{t.member},
		NextProtos: []string{protocol}, ClientSessionCache: nil,
		InsecureSkipVerify: true, // VerifyConnection does it, by id instead of host name
		VerifyConnection:   func(s tls.ConnectionState) error { return t.verify(s, want) },
	})
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("shake hands with %s: %w", address, err)
	}
	return c, nil
}

func (t trust) verify(s tls.ConnectionState, want string) error {
	if err := verifyChain(s.PeerCertificates, t.roots); err != nil {
		return err
	}
	id, err := memberID(s.PeerCertificates[0])
	if err != nil {
		return err
	}
	if want != "" && id != want {
		return fmt.Errorf("member %s answers where %s was expected", id, want)
	}
	return nil
}

// verifyChain checks that a server's certificate is signed, through the chain
// that it sent, by one of roots.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the server sent no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

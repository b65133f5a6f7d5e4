package cluster

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// subject is what a certificate says of its holder.
type subject struct {
	name  string
	dns   []string
	ips   []net.IP
	uris  []*url.URL
	usage []x509.ExtKeyUsage
}

// memberSubject is a member towards other members: its id as a URI, and use as
// server and client.
func memberSubject(id string, hosts []string) subject {
	s := serverSubject(id, hosts)
	s.uris = []*url.URL{memberURI(id)}
	s.usage = append(s.usage, x509.ExtKeyUsageClientAuth)
	return s
}

// serverSubject is a member's API towards its users. Without the use as client
// its key opens no door between members.
func serverSubject(name string, hosts []string) subject {
	s := subject{name: name, usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	seen := map[string]bool{"": true}
	for _, h := range hosts {
		if seen[h] {
			continue
		}
		seen[h] = true
		if ip := net.ParseIP(h); ip != nil {
			s.ips = append(s.ips, ip)
		} else {
			s.dns = append(s.dns, h)
		}
	}
	return s
}

const uriPrefix = "member:"

func memberURI(id string) *url.URL { return &url.URL{Scheme: "theseus", Opaque: uriPrefix + id} }

// memberID is who a member's certificate belongs to.
func memberID(c *x509.Certificate) (string, error) {
	for _, u := range c.URIs {
		if id, ok := strings.CutPrefix(u.Opaque, uriPrefix); ok && u.Scheme == "theseus" && id != "" {
			return id, nil
		}
	}
	return "", errors.New("the certificate names no member")
}

// fits says whether a certificate still serves: it names what s names, and has
// a third of its life before it.
func (s subject) fits(c *x509.Certificate, now time.Time) bool {
	life := c.NotAfter.Sub(c.NotBefore)
	return c.NotAfter.Sub(now) > life/3 && slices.Equal(names(c.DNSNames, c.IPAddresses, c.URIs), names(s.dns, s.ips, s.uris))
}

func names(dns []string, ips []net.IP, uris []*url.URL) []string {
	all := slices.Clone(dns)
	for _, ip := range ips {
		all = append(all, ip.String())
	}
	for _, u := range uris {
		all = append(all, u.String())
	}
	slices.Sort(all)
	return all
}

// request asks for a member's certificate (a CSR, as PEM).
func request(key *ecdsa.PrivateKey, s subject) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: s.name}, DNSNames: s.dns, IPAddresses: s.ips}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// readRequest reads a certificate request and answers the key in it, and the
// hosts it asks for.
func readRequest(raw []byte) (public any, hosts []string, err error) {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, nil, errors.New("no PEM certificate request in it")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return nil, nil, err
	}
	return r.PublicKey, names(r.DNSNames, r.IPAddresses, nil), nil
}

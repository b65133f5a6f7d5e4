package cluster

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// Keys are a member's certificates and their keys, in <data>/tls. They can be
// opened before anything else, so that the API serves while the rest opens.
type Keys struct {
	dir string

	// mu is held to read or change what follows; files are written under it too.
	mu     sync.Mutex
	ca     *x509.Certificate
	member *tls.Certificate // towards members
	server *tls.Certificate // of the API; its chain ends with the CA
	served chan struct{}    // closed once there is a server certificate
}

// OpenKeys reads the certificates of a data directory, as far as there are any.
func OpenKeys(dataDir string) (*Keys, error) {
	k := &Keys{dir: filepath.Join(dataDir, "tls"), served: make(chan struct{})}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the member's keys: %w", err)
	}
	if err := durable.SyncDir(dataDir); err != nil {
		return nil, err
	}
	return k, k.load()
}

func (k *Keys) path(name string) string { return filepath.Join(k.dir, name) }

// CAFile is where the certificate of the cluster's CA is, once there is one.
func (k *Keys) CAFile() string { return k.path("ca.pem") }

func (k *Keys) load() error {
	raw, err := os.ReadFile(k.path("ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the cluster's CA: %w", err)
	}
	if k.ca, err = decodeCert(raw); err != nil {
		return fmt.Errorf("read the cluster's CA %s: %w", k.path("ca.pem"), err)
	}
	if k.member, err = k.loadPair("member"); err != nil {
		return err
	}
	server, err := k.loadPair("server")
	if server != nil {
		k.serve(server)
	}
	return err
}

func (k *Keys) loadPair(name string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(k.path(name+".pem"), k.path(name+".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the %s certificate in %s: %w", name, k.dir, err)
	}
	return &pair, nil
}

// serve makes c the certificate of the API; k.mu is held, or k is not shared yet.
func (k *Keys) serve(c *tls.Certificate) {
	if k.server == nil {
		close(k.served)
	}
	k.server = c
}

// ServerCertificate is for the API's tls.Config. At a member's very first start
// it waits, as long as the handshake may take, until there is one.
func (k *Keys) ServerCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	select {
	case <-k.served:
	case <-hello.Context().Done():
		return nil, errors.New("this member has no certificate yet: it is starting")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.server, nil
}

// trust is what a connection between members is checked with.
type trust struct {
	roots  *x509.CertPool
	member tls.Certificate
}

func (k *Keys) trust() (trust, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ca == nil || k.member == nil {
		return trust{}, errors.New("this member has no certificate of its cluster yet")
	}
	roots := x509.NewCertPool()
	roots.AddCert(k.ca)
	return trust{roots: roots, member: *k.member}, nil
}

// key is the private key of that name, made at first use. It stays when the
// certificate is renewed, so that the two files can never disagree.
func (k *Keys) key(name string) (*ecdsa.PrivateKey, error) {
	path := k.path(name + ".key")
	raw, err := os.ReadFile(path)
	if err == nil {
		key, err := decodeKey(raw)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read a private key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a private key: %w", err)
	}
	if raw, err = encodeKey(key); err != nil {
		return nil, err
	}
	return key, durable.WriteBytes(path, 0o600, raw)
}

// adopt takes the CA and the member certificate that an enrolment answered.
func (k *Keys) adopt(caPEM, memberPEM []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := durable.WriteBytes(k.path("ca.pem"), 0o644, caPEM); err != nil {
		return err
	}
	if err := durable.WriteBytes(k.path("member.pem"), 0o644, memberPEM); err != nil {
		return err
	}
	return k.load()
}

// renew issues what is missing, no longer fits, or has less than a third of its
// life left. It may be called again at any time.
func (k *Keys) renew(c model.Cluster, self model.Member, hosts []string, now time.Time) error {
	a, err := readAuthority(c.CACert, c.CAKey)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ca == nil || !bytes.Equal(k.ca.Raw, a.cert.Raw) {
		if err := durable.WriteBytes(k.path("ca.pem"), 0o644, c.CACert); err != nil {
			return err
		}
		k.ca = a.cert
	}
	if s := memberSubject(self.ID, hosts); !a.stands(k.member, s, now) {
		if k.member, err = k.reissue("member", a, s, now); err != nil {
			return err
		}
	}
	if s := serverSubject(self.Name, hosts); !a.stands(k.server, s, now) {
		server, err := k.reissue("server", a, s, now)
		if err != nil {
			return err
		}
		k.serve(server)
	}
	return nil
}

// stands says whether c is of this authority and still serves for s.
func (a authority) stands(c *tls.Certificate, s subject, now time.Time) bool {
	return c != nil && c.Leaf.CheckSignatureFrom(a.cert) == nil && s.fits(c.Leaf, now)
}

// reissue writes a new certificate, followed by the CA's, and reads it back.
func (k *Keys) reissue(name string, a authority, s subject, now time.Time) (*tls.Certificate, error) {
	key, err := k.key(name)
	if err != nil {
		return nil, err
	}
	chain, err := a.issue(key.Public(), s, now)
	if err != nil {
		return nil, err
	}
	chain = append(chain, encodeCert(a.cert.Raw)...)
	if err := durable.WriteBytes(k.path(name+".pem"), 0o644, chain); err != nil {
		return nil, err
	}
	return k.loadPair(name)
}

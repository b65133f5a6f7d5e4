package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

const (
	defaultTokenLife = time.Hour
	longestTokenLife = 30 * 24 * time.Hour
)

// NewJoinToken makes a token that lets members join until it expires, an hour
// from now if ttl is zero. It holds the fingerprint of the cluster's CA, by
// which the joiner knows whom to give it to, and a secret of which the cluster
// keeps only the hash.
func (n *Node) NewJoinToken(ctx context.Context, ttl time.Duration) (token string, expires time.Time, err error) {
	if ttl == 0 {
		ttl = defaultTokenLife
	}
	if ttl < 0 || ttl > longestTokenLife {
		return "", expires, model.Problemf(model.Malformed, "make a join token: it cannot last %s: choose a ttl of up to %s", ttl, longestTokenLife)
	}
	record, err := n.record()
	if err != nil {
		return "", expires, fmt.Errorf("make a join token: %w", err)
	}
	print, err := Fingerprint(record.CACert)
	if err != nil {
		return "", expires, fmt.Errorf("make a join token: %w", err)
	}
	secret, now := rand.Text(), time.Now().UTC()
	expires = now.Add(ttl).Truncate(time.Second)
	for _, c := range []store.Command{
		store.New(store.OpTokenPrune, store.TokenPrune{Before: now.Format(time.RFC3339)}),
		store.New(store.OpTokenPut, store.TokenPut{Token: model.Token{
			Hash: tokenHash(secret), Join: true, Expires: expires.Format(time.RFC3339)}}),
	} {
		if _, err := n.Propose(ctx, c); err != nil {
			return "", expires, fmt.Errorf("make a join token: %w", err)
		}
	}
	return print + "." + secret, expires, nil
}

func tokenHash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// splitToken takes a join token apart: the CA's fingerprint and the secret.
func splitToken(token string) (fingerprint, secret string, err error) {
	fingerprint, secret, ok := strings.Cut(token, ".")
	if raw, bad := hex.DecodeString(fingerprint); !ok || bad != nil || len(raw) != sha256.Size || secret == "" {
		return "", "", errors.New("this is not a join token: get one with `theseus system ha join-token`")
	}
	return fingerprint, secret, nil
}

// checkToken refuses a join token that this cluster does not take now.
func checkToken(v *store.View, token string, now time.Time) error {
	refused := model.Problemf(model.Unauthorized, "join: the token is not one of this cluster, or has expired: get one with `theseus system ha join-token`")
	_, secret, err := splitToken(token)
	if err != nil {
		return refused
	}
	t, err := v.Token(tokenHash(secret))
	if errors.Is(err, store.ErrNotFound) {
		return refused
	}
	if err != nil {
		return err
	}
	expires, err := time.Parse(time.RFC3339, t.Expires)
	if err != nil || !t.Join || now.After(expires) {
		return refused
	}
	return nil
}

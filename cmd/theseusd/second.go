package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/upgrader/binary"
)

// alreadyRunning ends a second start on one data directory: well, when the
// first one is healthy.
func alreadyRunning(ctx context.Context, c config, log *slog.Logger, err error) error {
	var held *binary.HeldError
	if !errors.As(err, &held) {
		return err
	}
	if err := healthy(ctx, c); err != nil {
		return fmt.Errorf("%w, and that one is not healthy: %w", held, err)
	}
	log.Info("another theseusd serves this data directory and is healthy; nothing to do", "pid", held.PID)
	return nil
}

// secondLimit is how long the first daemon has to answer the second: it may be
// starting too.
const secondLimit = 10 * time.Second

// healthy asks the daemon that has the data directory whether it is alive, until
// it says so.
func healthy(ctx context.Context, c config) error {
	ctx, cancel := context.WithTimeout(ctx, secondLimit)
	defer cancel()
	for {
		err := askHealth(ctx, c)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(secondLimit / 100):
		}
	}
}

func askHealth(ctx context.Context, c config) error {
	ca, err := os.ReadFile(filepath.Join(c.DataDir, "tls", "ca.pem"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+localAddress(c.Listen)+"/healthz", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz answers %s", answer.Status)
	}
	return nil
}

// localAddress is where this machine reaches a listen address.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/e2e"
)

const (
	readers    = 8
	readTime   = 1500 * time.Millisecond
	readRounds = 5
	bareArg    = "serve-bare"
)

// reads sets reads of the status beside a bare handler that answers the same
// bytes, with the same TLS and the same kind of login, from a process of its own.
func reads(ctx context.Context, b *bench) error {
	return b.with(ctx, 1, func(c *e2e.Cluster) error {
		m := c.Members[0]
		if err := c.Staged(ctx, m, b.archive); err != nil {
			return err
		}
		request := e2e.Request{Method: "GET", Path: "/api/v3/system/upgrade/status", Auth: c.Auth}
		a, err := c.Do(ctx, m, request)
		if err != nil {
			return err
		}
		addr, end, err := startBare(m, bareConfig{Auth: c.Auth, Body: string(a.Body)})
		if err != nil {
			return err
		}
		defer end()
		var ours, bare []float64
		for range readRounds {
			bare = append(bare, rate(ctx, addr, c.CA, request))
			ours = append(ours, rate(ctx, m.API, c.CA, request))
		}
		same := func(r float64) float64 { return r }
		x, y := median(ours, same), median(bare, same)
		t := table{title: fmt.Sprintf("reads of the status, %d bytes, %d connections, medians of %d rounds in turns", len(a.Body), readers, readRounds)}
		t.add("a bare handler", "%.0f a second", y)
		t.add("theseusd", "%.0f a second", x)
		t.floor("  times the bare handler", "%.2f", x/y, 0.8)
		t.print(b)
		return nil
	})
}

// rate is how many good answers addr gives a second.
func rate(ctx context.Context, addr string, ca *x509.CertPool, r e2e.Request) float64 {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var done sync.WaitGroup
	clients := make([]*e2e.Client, readers)
	start := time.Now()
	for i := range clients {
		clients[i] = &e2e.Client{Addr: addr, CA: ca, Next: func(int) e2e.Request { return r }, Accept: accept}
		done.Go(func() { clients[i].Run(ctx) })
	}
	done.Wait()
	took := time.Since(start).Seconds()
	good := 0
	for _, c := range clients {
		t := c.Tally()
		good += t.Requests - t.Failed
	}
	return float64(good) / took
}

func accept(_ int, a e2e.Answer) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("answer %d", a.Status)
	}
	return nil
}

// bareConfig is what the bare server is told on its stdin.
type bareConfig struct {
	Host, Certificate, Key string
	Auth, Body             string
}

// startBare starts the bare server with m's own certificate.
func startBare(m *e2e.Member, c bareConfig) (addr string, end func(), err error) {
	c.Host, _, _ = strings.Cut(m.API, ":")
	c.Certificate = filepath.Join(m.Data(), "tls", "server.pem")
	c.Key = filepath.Join(m.Data(), "tls", "server.key")
	config, err := json.Marshal(c)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command("/proc/self/exe", bareArg)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() { in.Close(); cmd.Wait() }
	_, err = in.Write(append(config, '\n'))
	line, readErr := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line), end, errors.Join(err, readErr)
}

// serveBare reads its configuration from in, prints its address on out, and
// serves until in ends.
func serveBare(in io.Reader, out io.Writer) error {
	stdin := bufio.NewReader(in)
	line, err := stdin.ReadBytes('\n')
	if err != nil {
		return err
	}
	var c bareConfig
	if err := json.Unmarshal(line, &c); err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, "0"))
	if err != nil {
		return err
	}
	s := &http.Server{Handler: bareHandler(c), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}}
	go s.ServeTLS(l, c.Certificate, c.Key)
	fmt.Fprintln(out, l.Addr())
	_, err = io.Copy(io.Discard, stdin)
	return errors.Join(err, s.Close())
}

// bareHandler knows one token by its hash and answers one body.
func bareHandler(c bareConfig) http.Handler {
	known := map[[32]byte]bool{sha256.Sum256([]byte(c.Auth)): true}
	body := []byte(c.Body)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !known[sha256.Sum256([]byte(r.Header.Get("Authorization")))] {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	})
}

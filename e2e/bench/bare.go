package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
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
	"time"

	"github.com/theseusd/theseus/e2e"
)

// bareArg makes this command the bare server.
const bareArg = "serve-bare"

// bareConfig is what the bare server is told on its stdin.
type bareConfig struct {
	Host, Certificate, Key string
	Auth                   string
	Header                 http.Header
	Body                   string
}

// startBare starts the bare server with m's own certificate.
func startBare(m *e2e.Member, c bareConfig) (s *server, end func(), err error) {
	c.Host, _, _ = strings.Cut(m.API, ":")
	c.Certificate = filepath.Join(m.Data(), "tls", "server.pem")
	c.Key = filepath.Join(m.Data(), "tls", "server.key")
	config, err := json.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command("/proc/self/exe", bareArg)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end = func() { in.Close(); cmd.Wait() }
	_, err = in.Write(append(config, '\n'))
	line, readErr := bufio.NewReader(out).ReadString('\n')
	if err := errors.Join(err, readErr); err != nil {
		end()
		return nil, nil, fmt.Errorf("start the bare server: %w", err)
	}
	return &server{addr: strings.TrimSpace(line), process: e2e.Process{PID: cmd.Process.Pid}}, end, nil
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
	s := &http.Server{Handler: bareHandler(c), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}}
	go s.ServeTLS(l, c.Certificate, c.Key)
	fmt.Fprintln(out, l.Addr())
	_, err = io.Copy(io.Discard, stdin)
	return errors.Join(err, s.Close())
}

// bareHandler knows one token by its hash and answers one body, with the
// headers that theseusd sends: the same bytes.
func bareHandler(c bareConfig) http.Handler {
	known := sha256.Sum256([]byte(c.Auth))
	body := []byte(c.Body)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(token[:], known[:]) != 1 {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		for name, values := range c.Header {
			w.Header()[name] = values
		}
		w.Write(body)
	})
}

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// shyFor is how long a shy client says nothing on a new connection: longer than a
// member takes to leave and to be back.
const shyFor = 1500 * time.Millisecond

// shy are clients that connect and begin to speak much later, to each member ten a
// second, until end is called: it answers how many were served, and what was not.
func (c *Cluster) shy(ctx context.Context) (end func() (served int, lost []error)) {
	over, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	var mu sync.Mutex // held for what follows
	var served int
	var lost []error
	for _, m := range c.Members {
		clients.Go(func() {
			for over.Err() == nil {
				clients.Go(func() {
					err := c.askShyly(ctx, m)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						lost = append(lost, fmt.Errorf("%s: %w", m.Name, err))
						return
					}
					served++
				})
				select {
				case <-over.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	return func() (int, []error) {
		stop()
		clients.Wait()
		return served, slices.Clip(lost)
	}
}

func (c *Cluster) askShyly(ctx context.Context, m *Member) error {
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.API)
	if err != nil {
		return err
	}
	defer tcp.Close()
	time.Sleep(shyFor)
	host, _, err := net.SplitHostPort(m.API)
	if err != nil {
		return err
	}
	conn := tls.Client(tcp, &tls.Config{RootCAs: c.CA, ServerName: host})
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: shy\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	head := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200 OK" {
		return errors.Join(fmt.Errorf("it was answered %q", head), err)
	}
	return nil
}

// Who has connected and not spoken yet is served by the image that comes.
func TestAClientThatIsSlowToSpeakIsServedByTheNextImage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, nil)
	ctx := within(t)
	end := c.shy(ctx)

	if s := upgraded(t, c, v110, quick); s.Status != "finished" || !s.Completed {
		t.Errorf("the upgrade ended %+v", s)
	}

	served, lost := end()
	if len(lost) > 0 || served == 0 {
		t.Errorf("%d were served, %d were not: %v", served, len(lost), lost)
	}
}

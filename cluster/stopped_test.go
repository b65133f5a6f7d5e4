package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// A process of its own can be stopped and resumed as a whole, which threads of
// one process cannot: the test binary plays the member.
const childVariable = "THESEUS_TEST_MEMBER"

func TestMain(m *testing.M) {
	if raw := os.Getenv(childVariable); raw != "" {
		if err := playMember([]byte(raw)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

type role struct{ Dir, URL, Token string }

// playMember joins a cluster and answers consistent reads until its input ends.
func playMember(raw []byte) error {
	var r role
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		return err
	}
	id, err := LoadIdentity(r.Dir)
	if err != nil {
		return err
	}
	keys, err := OpenKeys(r.Dir)
	if err != nil {
		return err
	}
	s, err := store.Open(r.Dir, store.Options{})
	if err != nil {
		return err
	}
	n, err := Open(context.Background(), Config{Store: s, Keys: keys, Dir: r.Dir, Listener: l, Log: slog.New(slog.DiscardHandler),
		Join: &Join{URL: r.URL, Token: r.Token}, Self: model.Member{ID: id.ID, Incarnation: id.Incarnation, Name: "child",
			API: "https://child", Raft: l.Addr().String(), Version: "1.0.0"}})
	if err != nil {
		return err
	}
	reads, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		return err
	}
	go http.Serve(reads, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.ReadIndex(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.View(func(v *store.View) error {
			all, err := v.Profiles()
			for _, p := range all {
				fmt.Fprintln(w, p.Name)
			}
			return err
		})
	}))
	fmt.Println(reads.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child is a member in a process of its own.
type child struct {
	process *os.Process
	reads   string
}

func (h *harness) child() *child {
	h.t.Helper()
	token, _, err := h.members[0].node.NewJoinToken(h.ctx(), time.Hour)
	must(h.t, err)
	raw, err := json.Marshal(role{Dir: h.t.TempDir(), URL: h.members[0].api.URL, Token: token})
	must(h.t, err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+string(raw))
	c.Stderr = h.log
	_, err = c.StdinPipe() // ends with this process, so that the child does too
	must(h.t, err)
	out, err := c.StdoutPipe()
	must(h.t, err)
	must(h.t, c.Start())
	h.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	must(h.t, err)
	return &child{process: c.Process, reads: strings.TrimSpace(line)}
}

// ask begins a read and returns once the child's kernel has it.
func (c *child) ask(t *testing.T) *bufio.Reader {
	t.Helper()
	conn, err := net.Dial("tcp", c.reads)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	return bufio.NewReader(conn)
}

func TestALeaderThatWasStoppedAndResumedNeverReadsStale(t *testing.T) {
	h := newCluster(t, 2)
	child := h.child()
	for round := range 3 {
		must(t, h.members[0].node.HandOver(h.ctx(), "child"))
		must(t, child.process.Signal(syscall.SIGSTOP))
		h.leader() // another one is elected meanwhile
		name := fmt.Sprintf("round %d", round)
		h.members[round%2].write(name)
		var answers []*bufio.Reader
		for range 50 {
			answers = append(answers, child.ask(t))
		}
		must(t, child.process.Signal(syscall.SIGCONT))
		var wg sync.WaitGroup
		for _, from := range answers {
			wg.Go(func() {
				if err := readFresh(from, name); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

func readFresh(from *bufio.Reader, want string) error {
	answer, err := http.ReadResponse(from, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New("a read through the resumed leader was not answered, though there was a leader to ask")
	}
	if !slices.Contains(strings.Split(string(raw), "\n"), want) {
		return fmt.Errorf("stale: %q is not among %q", want, raw)
	}
	return nil
}

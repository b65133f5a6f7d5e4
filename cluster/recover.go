package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/theseusd/theseus/internal/durable"
	"github.com/theseusd/theseus/model"
)

// peersFile, in the data directory, is the operator's word on who the members
// are when too few are left to agree on it. It has the form that Consul and
// Vault use.
const peersFile = "peers.json"

// filePeer is one member in a peers file.
type filePeer struct {
	ID       string `json:"id"`
	Address  string `json:"address"`
	NonVoter bool   `json:"non_voter"`
}

// recoverQuorum makes the members in a peers file, if there is one, the members
// of Raft's configuration, before raft starts. Raft takes the last configuration
// in its log for the one that holds, committed or not, so that is where it goes.
// The file is renamed then; after a kill in between the same entry is made again
// in the same place.
func (n *Node) recoverQuorum() error {
	path := filepath.Join(n.Dir, peersFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = n.replaceConfiguration(raw)
	}
	if err == nil {
		err = durable.Remove(filepath.Join(n.Dir, removedFile)) // the file names it: it is a member
	}
	if err != nil {
		return fmt.Errorf("recover with %s: %w", path, err)
	}
	applied := path + ".applied-" + time.Now().UTC().Format("20060102T150405Z")
	if err := durable.Rename(path, applied); err != nil {
		return fmt.Errorf("recover with %s: %w", path, err)
	}
	n.log.Warn("recovered with a peers file: its members are the cluster now", "kept as", applied)
	return nil
}

func (n *Node) replaceConfiguration(raw []byte) error {
	var peers []filePeer
	if err := strict(raw, &peers); err != nil {
		return model.Problemf(model.Malformed, "want a list of {\"id\", \"address\", \"non_voter\"}: %v", err)
	}
	c, err := configurationOf(peers, n.Self)
	if err != nil {
		return err
	}
	at, err := n.lastEntry()
	if err != nil {
		return err
	}
	if at.Index == 0 {
		return errors.New("this data directory was never part of a cluster")
	}
	term := at.Term + termLeap
	if err := n.raiseTerm(term + termLeap/2); err != nil {
		return err
	}
	return n.Store.Log().StoreLogs([]*raft.Log{
		{Index: at.Index + 1, Term: term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}})
}

// termLeap is more terms than any cluster elects its leaders in.
//
// The members that are left may have logs of different lengths, and each of them
// makes its own entry. Its term is a leap above that of the entry before it: no
// leader has had it, so raft never takes it for an ordinary entry that another
// member has at the same index; and an election between those that are left ends
// as it would have without it, so that the one with the most keeps it all.
//
// The elections after it begin half a leap further on. The members leap from
// different terms, and one that is elected before the others are up would have
// the term of another's entry otherwise, and ordinary entries at its index.
const termLeap = 1 << 32

// lastEntry is the last entry of this member, not counting one that a peers file
// has put behind it and that nothing has come of: the next one takes its place.
// To leap once more would put a shorter log above a longer one.
func (n *Node) lastEntry() (at raft.Log, err error) {
	last, err := n.Store.Log().LastIndex()
	if err != nil {
		return at, err
	}
	at, err = n.entryAt(last)
	if err != nil || at.Type != raft.LogConfiguration {
		return at, err
	}
	before, err := n.entryAt(at.Index - 1)
	if err != nil || at.Term < before.Term+termLeap {
		return at, err
	}
	return before, nil
}

// entryAt is the entry at index, or, if the records are as far as that, the index,
// the term and no more of where they are: it may be gone from the log.
func (n *Node) entryAt(index uint64) (at raft.Log, err error) {
	if index > n.Store.Applied() {
		err = n.Store.Log().GetLog(index, &at)
		return at, err
	}
	snapshots, err := n.Store.Snapshots().List()
	if err != nil || len(snapshots) == 0 {
		return at, err
	}
	return raft.Log{Index: snapshots[0].Index, Term: snapshots[0].Term}, nil
}

// raiseTerm has raft stand for election only in terms above this one.
func (n *Node) raiseTerm(term uint64) error {
	key := []byte("CurrentTerm") // as raft names it, keyCurrentTerm in raft.go
	now, err := n.Store.Log().GetUint64(key)
	if err != nil || now >= term {
		return err
	}
	return n.Store.Log().SetUint64(key, term)
}

// configurationOf holds what a peers file says to what a cluster needs.
func configurationOf(peers []filePeer, self model.Member) (c raft.Configuration, err error) {
	voters, mine := 0, false
	for i, p := range peers {
		if p.ID == "" {
			return c, model.Problemf(model.Malformed, "member %d has no id", i+1)
		}
		if _, _, err := net.SplitHostPort(p.Address); err != nil {
			return c, model.Problemf(model.Malformed, "member %s: address %q: want HOST:PORT of its port for members", p.ID, p.Address)
		}
		s := raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address), Suffrage: raft.Voter}
		if _, twice := find(c.Servers, p.ID); twice {
			return c, model.Problemf(model.Malformed, "member %s is named twice", p.ID)
		}
		if p.NonVoter {
			s.Suffrage = raft.Nonvoter
		} else {
			voters++
		}
		mine = mine || p.ID == self.ID && p.Address == self.Raft
		c.Servers = append(c.Servers, s)
	}
	switch {
	case voters == 0:
		return c, model.Problemf(model.Malformed, "it names no voter, and a cluster needs one")
	case !mine:
		return c, model.Problemf(model.Malformed, "it does not name this member, id %s at address %s", self.ID, self.Raft)
	}
	return c, nil
}

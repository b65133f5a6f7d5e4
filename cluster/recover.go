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
// The file is renamed then; a kill in between makes the same entry once more.
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
	last, err := n.Store.Log().LastIndex()
	if err != nil {
		return err
	}
	last = max(last, n.Store.Applied())
	if last == 0 {
		return errors.New("this data directory was never part of a cluster")
	}
	term, err := n.recoveryTerm()
	if err != nil {
		return err
	}
	return n.Store.Log().StoreLogs([]*raft.Log{
		{Index: last + 1, Term: term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}})
}

// termLeap is more terms than any cluster elects its leaders in.
const termLeap = 1 << 32

// recoveryTerm begins a term that no leader has had. The members that are left
// may have logs of different lengths; was the new entry of a term of theirs, one
// of them could take it for an entry of another's at the same index.
func (n *Node) recoveryTerm() (term uint64, err error) {
	key := []byte("CurrentTerm") // as raft names it, keyCurrentTerm in raft.go
	if term, err = n.Store.Log().GetUint64(key); err != nil {
		return 0, err
	}
	term += termLeap
	return term, n.Store.Log().SetUint64(key, term)
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

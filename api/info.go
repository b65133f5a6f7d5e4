package api

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/model"
	"github.com/theseusd/theseus/store"
)

// features are what clients look for before they use it.
func features() []string {
	return []string{"inline-upgrade", "two-phase-rolling-upgrades"}
}

func (a *API) info(http.Header, *http.Request) (int, any, error) {
	info, err := a.ownInfo()
	return http.StatusOK, described(info), err
}

// ownInfo describes this member in Digital Rebar's names.
func (a *API) ownInfo() (model.Info, error) {
	leader, led := a.Cluster.Leader()
	platform, arch, _ := strings.Cut(a.Self.Platform, "/")
	host, port := endpoint(a.Self.API)
	i := model.Info{
		OS: platform, Arch: arch, Version: a.Self.Version, Image: a.Self.Image,
		ID: a.Self.ID, LocalID: a.Self.ID, ServerHostname: a.Self.Name, Address: host, APIPort: port,
		HaIsActive: led && leader == a.Self.ID, HaActiveID: leader, HaStatus: haStatus(leader, a.Self.ID),
		Features: features(), Errors: []string{},
	}
	if fault := a.Store.Fault(); fault != nil {
		i.Errors = append(i.Errors, fault.Error())
	}
	err := a.Store.View(func(v *store.View) error {
		c, err := v.Cluster()
		if err != nil {
			return err
		}
		members, err := v.Members()
		i.HaID, i.ClusterVersion, i.HaEnabled = c.ID, c.Version, len(members) > 1
		return err
	})
	if errors.Is(err, store.ErrNotFound) { // joined, and not caught up yet
		return i, nil
	}
	if err != nil {
		return i, err
	}
	issues, err := a.Upgrader.Issues()
	i.Errors = append(i.Errors, issues...)
	return i, err
}

func haStatus(leader, self string) string {
	switch leader {
	case "":
		return "Connecting"
	case self:
		return "Up"
	}
	return "In-Sync"
}

// endpoint takes https://host:port apart.
func endpoint(api string) (host string, port int) {
	u, err := url.Parse(api)
	if err != nil {
		return "", 0
	}
	host, text, err := net.SplitHostPort(u.Host)
	if err != nil {
		return u.Host, 0
	}
	port, _ = strconv.Atoi(text) // 0 is as good as none
	return host, port
}

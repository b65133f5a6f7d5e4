package model

// Cluster is the record of the cluster as a whole.
type Cluster struct {
	ID      string `json:"id"`
	Version string `json:"version"` // the gate: moved only by completion

	CACert []byte `json:"ca-cert"` // PEM
	CAKey  []byte `json:"ca-key"`  // PEM; never leaves the members

	// Failed maps the digest of an archive to why a member went back from it.
	Failed map[string]string `json:"failed,omitempty"`

	// Level is the protocol level that every member can read: 0 in a cluster that
	// an earlier build began, until an upgrade of it is completed.
	Level int `json:"level,omitempty"`
	// Floor is the highest version that has led, once that is above Version.
	Floor string `json:"floor,omitempty"`

	ClusterNext
}

// Member is what a member last reported of itself.
type Member struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	API         string `json:"api"`  // https://host:8092
	Raft        string `json:"raft"` // host:8093
	Version     string `json:"version"`
	Image       string `json:"image"`       // sha256:<hex> of the running executable
	Platform    string `json:"platform"`    // linux/amd64
	Incarnation string `json:"incarnation"` // of the data directory; new after a restore
	Boot        string `json:"boot"`        // of this process image; new after every exec
	PID         int    `json:"pid"`
	Observer    bool   `json:"observer,omitempty"` // replicates and never votes

	// Issues are what is out of the ordinary with its binary, for people.
	Issues []string `json:"issues,omitempty"`

	// Verdict is set by a member that was put back to its kept binary.
	Verdict *Verdict `json:"verdict,omitempty"`
}

// Verdict says why an attempt at the new binary ended in the old one.
type Verdict struct {
	Upgrade string `json:"upgrade"`
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason"`
}

// User may log in. Password is an argon2id hash in PHC form.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Role     string `json:"role"`

	UserNext
}

// Token is a login or join token; the record is keyed by the SHA-256 of its secret.
type Token struct {
	Hash    string `json:"hash"`
	User    string `json:"user"`
	Join    bool   `json:"join,omitempty"` // lets a member join, and nothing else
	Expires string `json:"expires"`        // RFC 3339
}

// Peer is one member as consensus/peers shows it.
type Peer struct {
	ConsensusID   string
	ConsensusAddr string
	ApiUrl        string
	Name          string
	Passive       bool
	Observer      bool
	Offline       bool
	Voter         bool
	Leader        bool
	Applied       uint64
	Version       string
	Image         string
	Platform      string
}

// Info describes the server that answers, in Digital Rebar's names.
type Info struct {
	Arch           string   `json:"arch"`
	OS             string   `json:"os"`
	Version        string   `json:"version"`
	ID             string   `json:"id"`
	LocalID        string   `json:"local_id"`
	HaID           string   `json:"ha_id"`
	ServerHostname string   `json:"server_hostname"`
	Address        string   `json:"address"`
	APIPort        int      `json:"api_port"`
	HaEnabled      bool     `json:"ha_enabled"`
	HaIsActive     bool     `json:"ha_is_active"`
	HaStatus       string   `json:"ha_status"`
	HaActiveID     string   `json:"ha_active_id"`
	Features       []string `json:"features"`
	Errors         []string `json:"errors"`
	ClusterVersion string   `json:"cluster_version"`
	Image          string   `json:"image"`
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// config is all that an operator can set. A flag beats its environment
// variable, that beats the file, that beats the default.
type config struct {
	DataDir       string
	Listen        string
	RaftListen    string
	Advertise     string
	Name          string
	Join          string
	JoinToken     string
	TrustedKeys   []string
	AllowUnsigned bool
	Observer      bool
	CLIPath       string
	Restart       string // exec or exit
	Supervised    bool
	DrainHook     string
	PostHook      string
	LogLevel      string
	LogFormat     string
}

// The ways in which an upgrade restarts the daemon.
const (
	restartExec = "exec"
	restartExit = "exit"
)

const defaultConfigFile = "/etc/theseus/config.yaml"

func defineFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML file with these settings by the names of their flags (default "+defaultConfigFile+" if present)")
	f.String("data-dir", defaultDataDir(), "where this member keeps its state")
	f.String("listen", ":8092", "address of the API")
	f.String("raft-listen", "", "address for other members (default: the host of --listen, port 8093)")
	f.String("advertise", "", "host that others reach this member by (default: the default route's address, else 127.0.0.1)")
	f.String("name", "", "name of this member (default: the host name)")
	f.String("join", "", "API URL of a member to join through, on the first start only")
	f.String("join-token", "", "join token, as printed by 'theseus system ha join-token'")
	f.String("join-token-file", "", "file with the join token")
	f.StringArray("trusted-key", nil, "minisign public key, or file with one, that may sign packages (repeatable)")
	f.Bool("observer", false, "join without a vote: replicate and serve, never lead; on the first start only")
	f.Bool("allow-unsigned", false, "accept packages without a signature")
	f.String("cli-path", "", "theseus executable that is to be of the same release as this daemon (default: none)")
	f.String("restart", restartExec, "how an upgrade restarts this daemon: exec in place, or exit for a supervisor that starts it again whenever it ends")
	f.Bool("supervised", false, "something starts this daemon again whenever it ends (default: found out under systemd, runit, s6 and daemontools)")
	f.String("drain-hook", "", "executable to run when the turn of this member has come, before it stops taking new connections (default: none)")
	f.String("post-hook", "", "executable to run when that turn is over, however it ended (default: none)")
	f.String("log-level", "info", "debug, info, warn or error")
	f.String("log-format", "text", "text or json")
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/theseus"
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "theseus")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "theseus")
}

// loadConfig fills the flags that the command line leaves open from the
// environment, then from the file, and reads the whole.
func loadConfig(f *pflag.FlagSet, env func(string) (string, bool)) (config, error) {
	if err := fromEnvironment(f, env); err != nil {
		return config{}, err
	}
	if err := fromFile(f); err != nil {
		return config{}, err
	}
	get := func(name string) string { s, _ := f.GetString(name); return s }
	c := config{
		DataDir: get("data-dir"), Listen: get("listen"), RaftListen: get("raft-listen"),
		Advertise: get("advertise"), Name: get("name"), Join: get("join"), JoinToken: get("join-token"),
		CLIPath: get("cli-path"), Restart: get("restart"), DrainHook: get("drain-hook"), PostHook: get("post-hook"),
		LogLevel: get("log-level"), LogFormat: get("log-format"),
	}
	c.TrustedKeys, _ = f.GetStringArray("trusted-key")
	c.AllowUnsigned, _ = f.GetBool("allow-unsigned")
	c.Observer, _ = f.GetBool("observer")
	c.Supervised, _ = f.GetBool("supervised")
	return c, c.complete(get("join-token-file"))
}

func envName(flag string) string {
	return "THESEUS_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func fromEnvironment(f *pflag.FlagSet, env func(string) (string, bool)) (err error) {
	f.VisitAll(func(flag *pflag.Flag) {
		value, there := env(envName(flag.Name))
		if err != nil || flag.Changed || !there || flag.Name == "version" {
			return
		}
		for _, one := range split(flag, value) {
			if e := f.Set(flag.Name, one); e != nil && err == nil {
				err = fmt.Errorf("read %s: %w", envName(flag.Name), e)
			}
		}
	})
	return err
}

// split cuts the value of a repeatable flag at commas.
func split(flag *pflag.Flag, value string) []string {
	if flag.Value.Type() == "stringArray" {
		return strings.Split(value, ",")
	}
	return []string{value}
}

func fromFile(f *pflag.FlagSet) error {
	path, _ := f.GetString("config")
	named := path != ""
	if !named {
		path = defaultConfigFile
	}
	raw, err := os.ReadFile(path)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	var file map[string]yaml.Node
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return fmt.Errorf("read the configuration %s: %w", path, err)
	}
	for name, node := range file {
		if err := fromNode(f, name, node); err != nil {
			return fmt.Errorf("read the configuration %s: %w", path, err)
		}
	}
	return nil
}

func fromNode(f *pflag.FlagSet, name string, node yaml.Node) error {
	flag := f.Lookup(name)
	if flag == nil || name == "config" || name == "version" {
		return fmt.Errorf("line %d: there is no setting %q", node.Line, name)
	}
	if flag.Changed {
		return nil
	}
	values := []string{node.Value}
	if node.Kind == yaml.SequenceNode {
		values = nil
		for _, item := range node.Content {
			values = append(values, item.Value)
		}
	}
	for _, value := range values {
		if err := f.Set(name, value); err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
	}
	return nil
}

// complete checks what was set and works out what was not.
func (c *config) complete(tokenFile string) (err error) {
	if c.DataDir, err = filepath.Abs(c.DataDir); err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	for what, path := range map[string]*string{"the CLI": &c.CLIPath, "the drain hook": &c.DrainHook, "the post hook": &c.PostHook} {
		if err := whole(path); err != nil {
			return fmt.Errorf("find %s: %w", what, err)
		}
	}
	if c.Restart != restartExec && c.Restart != restartExit {
		return fmt.Errorf("--restart %q: want %s or %s", c.Restart, restartExec, restartExit)
	}
	if tokenFile != "" {
		raw, err := os.ReadFile(tokenFile)
		if err != nil {
			return fmt.Errorf("read the join token: %w", err)
		}
		c.JoinToken = strings.TrimSpace(string(raw))
	}
	if c.Name == "" {
		if c.Name, err = os.Hostname(); err != nil {
			return fmt.Errorf("find the host name; set --name: %w", err)
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w", c.Listen, err)
	}
	if c.RaftListen == "" {
		c.RaftListen = net.JoinHostPort(host, "8093")
	}
	if _, _, err := net.SplitHostPort(c.RaftListen); err != nil {
		return fmt.Errorf("--raft-listen %q: %w", c.RaftListen, err)
	}
	if c.Advertise == "" {
		c.Advertise = advertised(host)
	}
	return nil
}

// whole makes a path that was set one that holds from any directory.
func whole(path *string) (err error) {
	if *path != "" {
		*path, err = filepath.Abs(*path)
	}
	return err
}

// advertised is the host that others reach this member by: the one it listens
// on if that is one, else the address of the default route.
func advertised(host string) string {
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return host
	}
	// Connecting a datagram socket sends nothing; it only picks a route.
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

func (c config) logger(w *os.File) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", c.LogLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch c.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", c.LogFormat)
}

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/theseusd/theseus/client"
)

const environmentHelp = `Environment (the names of Digital Rebar, RS_..., are read after these):
  THESEUS_ENDPOINT  URL of any member (default ` + defaultEndpoint + `); of several,
                    with blanks or commas between, the next is asked when one is gone
  THESEUS_KEY       user:password
  THESEUS_TOKEN     a token, instead of the key
  THESEUS_CA_CERT   file with the CA certificate of the cluster
  THESEUS_CATALOG   directory or address of the catalog that catalog: and item ask
  THESEUS_TRUSTED_KEY, THESEUS_ALLOW_UNSIGNED
                    whose signature is taken of it, as --trusted-key (with commas
                    between several) and --allow-unsigned say
Every other flag has a variable too, which its help names: THESEUS_ON_FAILURE is
--on-failure. A flag that is given goes before it; a list has commas.
`

const defaultEndpoint = "https://127.0.0.1:8092"

// dial is the client to ask with, at the member that was named if one was.
func (a *app) dial(ctx context.Context) (*client.Client, error) {
	api, err := a.connect()
	if err != nil || a.flags.via == "" {
		return api, err
	}
	return api.Via(ctx, a.flags.via)
}

// connect makes the client that flags and environment ask for.
func (a *app) connect() (*client.Client, error) {
	conf := client.Config{Insecure: a.flags.insecure, Patience: a.patience}
	if all := strings.FieldsFunc(a.endpoint(), func(r rune) bool { return r == ',' || unicode.IsSpace(r) }); len(all) > 0 {
		conf.Endpoint, conf.Others = all[0], all[1:]
	}
	if err := a.login(&conf); err != nil {
		return nil, err
	}
	if file := first(a.flags.ca, a.env("THESEUS_CA_CERT")); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the CA certificate: %w", err)
		}
		conf.CA = pem
	}
	return client.New(conf)
}

func (a *app) endpoint() string {
	return first(a.flags.endpoint, a.env("THESEUS_ENDPOINT"), a.env("RS_ENDPOINT"), a.env("RS_ENDPOINTS"), defaultEndpoint)
}

// hasLogin says whether the environment has one.
func (a *app) hasLogin() bool {
	return first(a.env("THESEUS_TOKEN"), a.env("THESEUS_KEY"), a.env("RS_TOKEN"), a.env("RS_KEY")) != ""
}

// login prefers what was typed, our own names to Digital Rebar's, and a token to a key.
func (a *app) login(conf *client.Config) error {
	if a.typed != "" {
		conf.User, conf.Password, _ = strings.Cut(a.typed, ":")
		return nil
	}
	for _, prefix := range []string{"THESEUS_", "RS_"} {
		if conf.Token = a.env(prefix + "TOKEN"); conf.Token != "" {
			return nil
		}
		key := a.env(prefix + "KEY")
		if key == "" {
			continue
		}
		user, password, split := strings.Cut(key, ":")
		if !split || user == "" {
			return &usageError{"theseus", fmt.Errorf("%sKEY: want user:password", prefix)}
		}
		conf.User, conf.Password = user, password
		return nil
	}
	return nil
}

// first is the first that is not empty.
func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

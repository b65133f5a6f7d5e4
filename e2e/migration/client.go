package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
)

// pageSize is how many profiles are read and written at once.
const pageSize = 10

// maxConflicts is how often a page is read anew.
const maxConflicts = 100

// errMeanwhile is answered to a write when an item is not as it was read.
var errMeanwhile = errors.New("an item is not as it was read")

// client talks to the member that runs the migration.
type client struct {
	http     http.Client
	endpoint string
	token    string
}

type profile struct {
	Name   string
	Params map[string]json.RawMessage
}

type change struct {
	Profile, Key string
	Was, Now     json.RawMessage
}

// page is what is in some profiles that follow each other.
type page struct {
	last       string // name of the last profile; "" there was none
	items, old int
}

func newClient() (*client, error) {
	pem, err := os.ReadFile(os.Getenv("THESEUS_CA_CERT"))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the cluster's CA: there is no certificate in it")
	}
	c := &client{endpoint: os.Getenv("THESEUS_ENDPOINT"), token: os.Getenv("THESEUS_TOKEN")}
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return c, nil
}

// each shows all pages, from the first on.
func (c *client) each(show func(page)) error {
	for after := ""; ; {
		profiles, err := c.read(after)
		if err != nil || len(profiles) == 0 {
			return err
		}
		p := look(profiles)
		show(p)
		after = p.last
	}
}

func look(profiles []profile) (p page) {
	for _, one := range profiles {
		p.last = one.Name
		for _, value := range one.Params {
			switch f := form(value); f {
			case 1:
				p.old++
				p.items++
			case 2:
				p.items++
			}
		}
	}
	return p
}

// movePage moves the items of the profiles behind after. When somebody else wrote
// to one of them meanwhile, it reads them anew.
func (c *client) movePage(after string) (p page, conflicts int, err error) {
	for ; ; conflicts++ {
		profiles, err := c.read(after)
		if err != nil {
			return p, conflicts, err
		}
		changes, err := changesOf(profiles)
		if err != nil {
			return p, conflicts, err
		}
		if err = c.write(changes); !errors.Is(err, errMeanwhile) || conflicts == maxConflicts {
			return look(profiles), conflicts, err
		}
	}
}

func changesOf(profiles []profile) (all []change, err error) {
	for _, p := range profiles {
		for _, key := range slices.Sorted(maps.Keys(p.Params)) {
			was := p.Params[key]
			if form(was) != 1 {
				continue
			}
			now, err := moved(was)
			if err != nil {
				return nil, fmt.Errorf("profile %s, param %s: %w", p.Name, key, err)
			}
			all = append(all, change{Profile: p.Name, Key: key, Was: was, Now: now})
		}
	}
	return all, nil
}

// form is the form of an item; 0: it is no item.
func form(value json.RawMessage) int {
	var item struct {
		Form int `json:"form"`
	}
	if json.Unmarshal(value, &item) != nil {
		return 0
	}
	return item.Form
}

// moved is an item in the new form: its number became a text. What else it holds stays.
func moved(was json.RawMessage) (json.RawMessage, error) {
	item := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(was))
	d.UseNumber()
	if err := d.Decode(&item); err != nil {
		return nil, err
	}
	number, _ := item["n"].(json.Number)
	moves, _ := item["moves"].(json.Number)
	times, err := strconv.Atoi(moves.String())
	if err != nil {
		return nil, fmt.Errorf("how often it was moved: %w", err)
	}
	item["form"], item["n"], item["moves"] = 2, number.String(), times+1
	return json.Marshal(item)
}

func (c *client) read(after string) (profiles []profile, err error) {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}, "after": {after}}
	status, body, err := c.do("GET", "/api/v3/profiles?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("read the profiles behind %q: %d %s", after, status, body)
	}
	return profiles, json.Unmarshal(body, &profiles)
}

func (c *client) write(changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	raw, err := json.Marshal(map[string]any{"Changes": changes})
	if err != nil {
		return err
	}
	status, body, err := c.do("PATCH", "/api/v3/profiles", raw)
	switch {
	case err != nil:
		return err
	case status == http.StatusConflict:
		return errMeanwhile
	case status != http.StatusOK:
		return fmt.Errorf("write %d items: %d %s", len(changes), status, body)
	}
	return nil
}

func (c *client) do(method, path string, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequest(method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

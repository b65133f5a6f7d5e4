package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// guideFlags are the answers to what an upgrade without a FILE asks for.
type guideFlags struct {
	file   string
	staged bool
	yes    bool
}

func (g *guideFlags) define(f *pflag.FlagSet) {
	f.StringVar(&g.file, "file", "", "the FILE; with it the plan and the trial run are shown first")
	f.BoolVar(&g.staged, "staged", false, "upgrade to what is staged already, instead of a FILE")
	f.BoolVar(&g.yes, "yes", false, "do not ask whether to start")
}

// settled refuses what would have to be asked for where nobody can be asked.
func (g *guideFlags) settled(c *cobra.Command, a *app) error {
	switch {
	case g.file != "" && g.staged:
		return usage(c, errors.New("want --file or --staged, not both"))
	case a.inTerminal:
		return nil
	case g.file == "" && !g.staged:
		return usage(c, errors.New("want one FILE or a command; without a terminal nobody is asked: name it by --file or THESEUS_FILE, or say --staged or THESEUS_STAGED=true"))
	case !g.yes:
		return usage(c, errors.New("without a terminal nobody is asked whether to start: say --yes or THESEUS_YES=true"))
	}
	return nil
}

// guide is an upgrade in which a person is asked for what was not said, sees what
// is going to happen, and says yes once.
type guide struct {
	*app
	guideFlags
	c *cobra.Command
	o client.RunOptions
}

func (g *guide) run() error {
	if _, err := g.format(g.c); err != nil {
		return err
	}
	if err := g.settled(g.c, g.app); err != nil {
		return err
	}
	api, info, err := g.reach()
	if err != nil {
		return err
	}
	defer api.Close()
	if !slices.Contains(info.Features, "two-phase-rolling-upgrades") {
		return g.alone(api, info)
	}
	known, err := onRecord(g.c.Context(), api)
	if err != nil {
		return err
	}
	if known != nil && known.Status == "working" {
		return errors.Join(g.tell(nil, "the upgrade to %s is under way", known.To), g.follow(g.c, api, held(g.o)))
	}
	if err := g.put(api, known); err != nil {
		return err
	}
	return g.upgradeStaged(api)
}

// upgradeStaged shows what is going to happen, asks, and does it.
func (g *guide) upgradeStaged(api *client.Client) error {
	ctx := g.c.Context()
	u, err := api.Upgrade(ctx, true)
	if err != nil {
		return err
	}
	if u.Status != "working" && u.Status != "finished" {
		if err := g.preview(api); err != nil {
			return err
		}
		if err := g.chooseMode(u); err != nil {
			return err
		}
		if err := g.agree(fmt.Sprintf("Upgrade the cluster from %s to %s now?", u.From, u.To), "what is staged stays so: theseus system upgrade start begins it"); err != nil {
			return err
		}
		if _, err := api.Start(ctx, g.o); err != nil {
			return err
		}
	}
	return g.follow(g.c, api, held(g.o))
}

// chooseMode asks how data is migrated, if there is data to migrate and nobody has
// said it.
func (g *guide) chooseMode(u client.Upgrade) error {
	migrates := func(m model.MigrationProgress) bool { return m.Phase == model.Migrate }
	if g.yes || g.o.Mode != "" || u.Migration == nil || !slices.ContainsFunc(u.Migration.Migrations, migrates) {
		return nil
	}
	g.write("data is migrated: complete does it as part of the upgrade, and refuses the writes of others meanwhile;",
		"background does it while the cluster serves, and the upgrade waits for theseus system upgrade complete")
	for {
		said, err := g.ask(g.c.Context(), "Mode, complete or background", model.ModeComplete)
		if err != nil {
			return err
		}
		if said == model.ModeComplete || said == model.ModeBackground {
			g.o.Mode = said
			return nil
		}
	}
}

// alone is the way of a server that upgrades itself in one step.
func (g *guide) alone(api *client.Client, info model.Info) error {
	if g.staged {
		return model.Problemf(model.Conflict, "%s stages nothing: it upgrades itself in one step, name a FILE", api.Endpoint())
	}
	in, err := g.archive("")
	if err != nil {
		return err
	}
	defer in.Close()
	if err := g.agree("Upgrade the server from "+info.Version+" now?", "nothing was sent"); err != nil {
		return err
	}
	return g.handOver(g.c, api, in, info, g.o)
}

// declined is a no to the one question.
type declined struct{ then string }

func (e *declined) Error() string { return "not started, as you said: " + e.then }

func (g *guide) agree(question, otherwise string) error {
	if g.yes {
		return nil
	}
	yes, err := g.askYes(g.c.Context(), question)
	if err == nil && !yes {
		err = &declined{otherwise}
	}
	return err
}

// reach finds a member that answers and takes the login, and asks for what that
// takes where somebody is there to be asked.
func (g *guide) reach() (*client.Client, model.Info, error) {
	for logins := 0; ; {
		api, info, err := g.knock()
		if err == nil || !g.inTerminal {
			return api, info, err
		}
		next := g.remedy(err, &logins)
		if next == nil {
			return nil, info, err
		}
		report(g.stderr, err)
		if err := next(); err != nil {
			return nil, info, err
		}
	}
}

func (g *guide) knock() (api *client.Client, info model.Info, err error) {
	if api, err = g.dial(g.c.Context()); err != nil {
		return nil, info, err
	}
	if _, err = api.Read(g.c.Context(), "info", nil, &info); err != nil {
		api.Close()
	}
	return api, info, err
}

// loginTries is how often a login may be typed.
const loginTries = 3

// remedy is the question that may help, or nil.
func (g *guide) remedy(err error, logins *int) func() error {
	var untrusted x509.UnknownAuthorityError
	var gone *client.Unreachable
	var refused *model.Error
	switch {
	case errors.As(err, &untrusted):
		return g.askAuthority
	case errors.As(err, &gone):
		return g.askEndpoint
	case errors.As(err, &refused) && refused.Code == http.StatusUnauthorized && !g.hasLogin() && *logins < loginTries:
		*logins++
		return g.askLogin
	}
	return nil
}

func (g *guide) askEndpoint() (err error) {
	g.flags.endpoint, err = g.ask(g.c.Context(), "Endpoint, the URL of any member", g.endpoint())
	return err
}

func (g *guide) askAuthority() (err error) {
	g.flags.ca, err = g.ask(g.c.Context(), "File with the CA certificate of the cluster", "")
	return err
}

func (g *guide) askLogin() error {
	user, err := g.ask(g.c.Context(), "User", "admin")
	if err != nil {
		return err
	}
	password, err := g.askSecret(g.c.Context(), "Password")
	g.typed = user + ":" + password
	return err
}

// onRecord is the upgrade that the cluster has, or nil.
func onRecord(ctx context.Context, api *client.Client) (*client.Upgrade, error) {
	u, err := api.Upgrade(ctx, true)
	if answered("", http.StatusNotFound)(err) {
		return nil, nil
	}
	return &u, err
}

// put stages what is named, unless that is what is staged.
func (g *guide) put(api *client.Client, known *client.Upgrade) error {
	staged := ""
	if known != nil && known.Status != "finished" {
		staged = known.To
	}
	if g.staged {
		if staged == "" {
			return model.Problemf(model.NotFound, "nothing is staged: name a FILE, or see theseus system upgrade stage")
		}
		return nil
	}
	in, err := g.archive(staged)
	if err != nil || in == nil {
		return err
	}
	defer in.Close()
	if known != nil && in.digest != "" && known.Archive == "sha256:"+in.digest {
		return g.tell(nil, "this archive is staged already")
	}
	_, _, err = g.stage(g.c, api, in, g.o.Exclude)
	return err
}

// archive opens what was named, or what is named now. It is nil for what is staged.
func (g *guide) archive(staged string) (*archive, error) {
	if g.file != "" {
		return g.open(g.c, g.file)
	}
	question := "Archive: a file, a URL or catalog:NAME"
	if staged != "" {
		question += "; empty for " + staged + ", which is staged"
	}
	for {
		name, err := g.ask(g.c.Context(), question, "")
		if err != nil || name == "" && staged != "" {
			return nil, err
		}
		if name == "" || name == "-" {
			continue
		}
		in, err := g.open(g.c, name)
		if err == nil || g.c.Context().Err() != nil {
			return in, err
		}
		report(g.stderr, err)
	}
}

// preview writes the plan and what the check finds, and ends it for what nobody may
// accept. Of what may be accepted the server decides.
func (g *guide) preview(api *client.Client) error {
	if err := g.showPlan(api); err != nil {
		return err
	}
	g.write("every member tries it out, nothing is changed yet")
	var r preflight
	if err := api.Check(g.c.Context(), &r); err != nil {
		return unlessWaited(g.c.Context(), err, "nothing was started; what is staged stays so")
	}
	lines, hard := r.lines()
	g.write(lines...)
	if hard > 0 {
		return model.Problemf(model.Refused, "not started: %s; what is staged stays so", counted(hard, "finding"))
	}
	return nil
}

// showPlan passes over a server that makes none.
func (g *guide) showPlan(api *client.Client) error {
	var p model.Plan
	_, err := api.Read(g.c.Context(), "system/upgrade/plan", nil, &p)
	if answered("", http.StatusNotFound)(err) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := []string{"the plan, from " + p.From + " to " + p.To}
	for _, h := range p.Hops {
		lines = append(lines, "  "+strings.Join(slices.DeleteFunc([]string{h.From + " -> " + h.To, h.Reason}, empty), ": "))
	}
	for _, f := range p.First {
		lines = append(lines, "  first: "+f)
	}
	for _, w := range p.Warn {
		lines = append(lines, "  warning: "+w)
	}
	g.write(lines...)
	return nil
}

func (g *guide) write(lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(g.stderr, printable(l))
	}
}

func empty(s string) bool { return s == "" }

// preflight is a report of a check, of which only what every server says is read.
type preflight struct {
	OK       bool        `json:"ok"`
	Findings []foundHere `json:"findings"`
	Members  []struct {
		Name     string      `json:"name"`
		Note     string      `json:"note"`
		Findings []foundHere `json:"findings"`
	} `json:"members"`
}

// foundHere is a finding, or its text alone as earlier servers say it.
type foundHere struct{ model.Finding }

func (f *foundHere) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &f.What) == nil {
		f.Severity = model.Hard
		return nil
	}
	return json.Unmarshal(raw, &f.Finding)
}

// lines are the report for a person, and how many findings nobody may accept.
func (r preflight) lines() (lines []string, hard int) {
	add := func(member string, f foundHere) {
		f.Member = first(f.Member, member)
		mark := string(f.Severity)
		if f.Ignored {
			mark += ", accepted"
		}
		if f.Severity == model.Hard {
			hard++
		}
		lines = append(lines, "  found ("+mark+") "+strings.TrimPrefix(f.Name+": ", ": ")+f.String())
	}
	for _, f := range r.Findings {
		add("", f)
	}
	for _, m := range r.Members {
		if len(m.Findings) == 0 {
			lines = append(lines, strings.Join(slices.DeleteFunc([]string{"  " + m.Name + ": ready", m.Note}, empty), ", "))
		}
		for _, f := range m.Findings {
			add(m.Name, f)
		}
	}
	if !r.OK && len(lines) == 0 {
		return []string{"  found something that this program cannot show: see theseus system upgrade check -o json"}, 1
	}
	return lines, hard
}

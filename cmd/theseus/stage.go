package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// uploadPatience is how long an upload is tried again while no byte more comes.
const uploadPatience = 5 * time.Minute

func stageCommand(a *app) *cobra.Command {
	c := leaf("stage FILE", "Put an upgrade archive on every member", 1, 1, nil)
	c.Long = c.Short + `.

Only what the cluster does not have yet is sent. When the connection breaks the
upload goes on where it was cut, through the next of the endpoints if
THESEUS_ENDPOINT names several; the same command, given again within a day, goes
on too.
` + fileHelp
	exclude := c.Flags().StringSlice("exclude", nil, "do not wait for this member, by name or id (repeatable)")
	wait := maxWait(c.Flags())
	c.RunE = func(c *cobra.Command, args []string) error {
		return wait(c, func() error {
			return a.with(c, func(api *client.Client) error { return a.stageFile(c, api, args[0], *exclude) })
		})
	}
	return c
}

func (a *app) stageFile(c *cobra.Command, api *client.Client, file string, exclude []string) error {
	in, err := a.open(c, file)
	if err != nil {
		return err
	}
	defer in.Close()
	blob, _, err := a.stage(c, api, in, exclude)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(blob)
	if err != nil {
		return err
	}
	return a.show(c, raw, fields)
}

// stage uploads an archive and says how far it is.
func (a *app) stage(c *cobra.Command, api *client.Client, in *archive, exclude []string) (blob model.BlobInfo, created bool, err error) {
	p := a.progress(in, "every member checks its copy")
	if in.digest == "" {
		blob, created, err = api.Stage(c.Context(), p, in.size, exclude...)
		p.end()
	} else {
		blob, created, err = a.upload(c, api, in, exclude, p)
	}
	if err != nil {
		return blob, false, a.notStaged(c.Context(), err)
	}
	if !created {
		return blob, false, a.tell(nil, "this archive is staged already")
	}
	return blob, true, a.tell(nil, "staged on every member")
}

// upload sends what the cluster does not have, and goes on when it is cut.
func (a *app) upload(c *cobra.Command, api *client.Client, in *archive, exclude []string, p *progress) (model.BlobInfo, bool, error) {
	blob, created, sent, err := api.Upload(c.Context(), client.Upload{
		Archive: in.file, Size: in.size, Digest: in.digest, Exclude: exclude, Patience: uploadPatience, At: p.at, Lost: p.cut})
	p.end()
	if err == nil && sent.Resumed > 0 && (created || sent.Bytes > 0) {
		err = a.tell(nil, "resumed at %.1f of %s; %d bytes sent twice", float64(sent.Resumed)/(1<<20), mebibytes(in.size), sent.Twice(in.size))
	}
	return blob, created, err
}

// notStaged adds what became of an upload that was not waited for.
func (a *app) notStaged(ctx context.Context, err error) error {
	return unlessWaited(ctx, err, "what has come is kept for a day: the same command goes on from there, and theseus system upgrade status shows whether it is staged")
}

// inlineLimit is how long a server that upgrades itself alone may take.
const inlineLimit = 15 * time.Minute

// inline hands the archive to a server that upgrades itself alone, in one step,
// and waits until it runs another version.
func (a *app) inline(c *cobra.Command, api *client.Client, in *archive, before string) error {
	p := a.progress(in, "the server checks it and restarts")
	blob, err := api.Inline(c.Context(), p, in.size)
	p.end()
	if err != nil {
		return err
	}
	if err := a.tell(nil, "taken: %s, %d bytes; waiting for another version than %s", blob.Path, blob.Size, before); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), inlineLimit)
	defer cancel()
	version, err := otherVersion(ctx, api, before)
	if err != nil {
		return unlessWaited(c.Context(), err, "the upgrade goes on; theseus info get shows the version")
	}
	_, err = fmt.Fprintln(a.stdout, printable(before+" -> "+version))
	return err
}

// otherVersion waits until the server says another version than before.
func otherVersion(ctx context.Context, api *client.Client, before string) (string, error) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		var info model.Info
		_, err := api.Read(ctx, "info", nil, &info)
		if err == nil && info.Version != before {
			return info.Version, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("the server still says %s: %w", before, ctx.Err()), err)
		}
	}
}

// progress shows how much of an archive is out.
func (a *app) progress(in *archive, then string) *progress {
	return &progress{from: io.Reader(in), size: in.size, to: a.stderr, redraw: a.errTerminal, then: then}
}

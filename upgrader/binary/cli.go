package binary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/theseusd/theseus/internal/durable"
)

// CLI is the executable of the command line that goes with the daemon's. It has
// no part in the swap: nobody's life hangs on it, so it is made to match
// afterwards. The files beside it are named as those beside the daemon's are.
// Its methods are for one goroutine.
type CLI struct {
	at      Own // only its path is of use
	seen    glance
	trouble error     // what the last try ended in
	again   time.Time // when to try again after that
}

// NewCLI is the CLI at an absolute path. Nothing needs to be there.
func NewCLI(path string) *CLI { return &CLI{at: Own{Path: path}} }

// cliRetry is how long a CLI that could not be replaced is left alone.
const cliRetry = 10 * time.Second

// Due says whether it is worth looking now: not shortly after something failed.
func (c *CLI) Due() bool { return c.trouble == nil || time.Now().After(c.again) }

// Settle keeps what a look at the CLI ended in for Issues, and says whether that
// is an error which is not known already.
func (c *CLI) Settle(err error) (news bool) {
	news = err != nil && (c.trouble == nil || c.trouble.Error() != err.Error())
	c.trouble, c.again = err, time.Now().Add(cliRetry)
	return news
}

// replacement is written beside the CLI before it is replaced.
type replacement struct {
	V       int    `json:"v"`
	Upgrade string `json:"upgrade"`
	From    string `json:"from"` // sha256:<hex>; empty: nothing was there
	To      string `json:"to"`
}

// image is what is at the path, "" for nothing.
func (c *CLI) image() (string, error) {
	at, err := c.seen.image(c.at.Path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return at, err
}

// Replace makes the CLI be image (sha256:<hex>), read from what open answers,
// with the owner, mode and capabilities of the one that is there, which is kept
// as ".<base>.previous". One that is right already is left alone, and open is not
// called. May be called again after an error.
func (c *CLI) Replace(ctx context.Context, image, upgrade string, open func() (io.ReadCloser, error)) error {
	from, err := c.image()
	if err == nil && from != image {
		err = c.replace(ctx, replacement{recordVersion, upgrade, from, image}, open)
	}
	if err != nil {
		return fmt.Errorf("make the CLI %s match this release: %w", c.at.Path, err)
	}
	return nil
}

func (c *CLI) replace(ctx context.Context, r replacement, open func() (io.ReadCloser, error)) error {
	if err := c.plain(); err != nil {
		return err
	}
	if err := c.at.remove("part-*", nil); err != nil { // of a life that was killed
		return err
	}
	next, err := c.lay(ctx, r, open)
	if err != nil {
		return err
	}
	defer os.Remove(next)
	if err := c.keep(r); err != nil {
		return err
	}
	if err := c.at.write("replaced", r); err != nil {
		return err
	}
	return durable.Rename(next, c.at.Path)
}

// lay puts the next CLI beside the one that is there.
func (c *CLI) lay(ctx context.Context, r replacement, open func() (io.ReadCloser, error)) (path string, err error) {
	want := looks{uint32(os.Geteuid()), uint32(os.Getegid()), 0o755, Capabilities{}}
	if r.From != "" {
		if want, err = c.at.looks(); err != nil {
			return "", err
		}
	}
	in, err := open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	part, err := c.at.fill(ctx, in, r.To)
	if err != nil {
		return "", err
	}
	if err := want.give(ctx, part); err != nil {
		return "", errors.Join(err, os.Remove(part))
	}
	return part, syncFile(part)
}

// keep gives the CLI that is there its second name.
func (c *CLI) keep(r replacement) error {
	if r.From == "" {
		return c.at.drop("previous")
	}
	tmp := c.at.beside("part-previous")
	if err := os.Link(c.at.Path, tmp); err != nil {
		want, err := c.at.looks()
		if err == nil {
			err = copyFile(c.at.Path, tmp, want)
		}
		if err != nil {
			return err
		}
	}
	defer os.Remove(tmp) // it stays if both are names of the same file already
	return durable.Rename(tmp, c.at.Previous())
}

// PutBack makes the CLI what it was before this upgrade replaced it, if it did
// and if nobody replaced it since. May be called again.
func (c *CLI) PutBack(upgrade string) error {
	r, open, err := c.replaced()
	if err != nil || !open || r.Upgrade != upgrade {
		return err
	}
	at, err := c.image()
	if err == nil && at == r.To {
		err = c.back(r)
	}
	if err == nil {
		err = c.Forget()
	}
	if err != nil {
		return fmt.Errorf("put the kept CLI back at %s: %w", c.at.Path, err)
	}
	return nil
}

func (c *CLI) replaced() (r replacement, found bool, err error) {
	found, err = c.at.read("replaced", &r)
	return r, found, err
}

func (c *CLI) back(r replacement) error {
	if r.From == "" {
		return durable.Remove(c.at.Path)
	}
	kept, err := FileImage(c.at.Previous())
	if err == nil && kept != r.From {
		err = fmt.Errorf("%s is %s, and %s was kept", c.at.Previous(), kept, r.From)
	}
	if err != nil {
		return err
	}
	return durable.Rename(c.at.Previous(), c.at.Path)
}

// Forget drops the way back. May be called again.
func (c *CLI) Forget() error {
	return errors.Join(c.at.drop("previous"), c.at.drop("replaced"))
}

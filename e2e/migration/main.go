// Command migration is what the packages of the end-to-end tests bring to move
// items: parameters of profiles, from their old form to the new one. Its name says
// at how many attempts it fails on purpose: item-form-2 fails at two, the first at
// 30 % of the items and the second at 60 %, each after a write and before the
// checkpoint of it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	switch strings.Join(args, " ") {
	case "run":
		return move(c)
	case "estimate":
		return estimate(c)
	case "check":
		return check(c)
	}
	return fmt.Errorf("want run, estimate or check, not %q", args)
}

// move moves every item, from the checkpoint on.
func move(c *client) error {
	at, err := begin(c)
	if err != nil {
		return err
	}
	fails, err := failsAt(at.total)
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for {
		passed, conflicts, err := c.movePage(at.name)
		if conflicts > 0 {
			fmt.Printf("log %d times somebody else wrote to an item behind %q\n", conflicts, at.name)
		}
		if err != nil || passed.items == 0 && passed.last == "" {
			return err
		}
		if at.done += passed.items; fails > 0 && at.done >= fails {
			return fmt.Errorf("fails on purpose after %d of %d items", at.done, at.total)
		}
		at.name = passed.last
		if err := at.tell(in); err != nil {
			return err
		}
	}
}

// begin is where this attempt goes on; the first counts the items.
func begin(c *client) (at checkpoint, err error) {
	if token := os.Getenv("THESEUS_CHECKPOINT"); token != "" {
		return parseCheckpoint(token)
	}
	err = c.each(func(p page) { at.total += p.items })
	fmt.Printf("log %d items are there\n", at.total)
	return at, err
}

// failsAt is after how many items this attempt fails on purpose; 0: it does not.
func failsAt(total int) (int, error) {
	_, times, _ := cutLast(os.Getenv("THESEUS_MIGRATION"), "-")
	limit, err := strconv.Atoi(times)
	if err != nil {
		return 0, fmt.Errorf("the name of the migration does not say how often it fails: %w", err)
	}
	attempt, err := strconv.Atoi(os.Getenv("THESEUS_ATTEMPT"))
	if err != nil || attempt > limit {
		return 0, err
	}
	return total * 3 * attempt / 10, nil
}

// estimate says how many items are to be moved, in how many writes.
func estimate(c *client) error {
	items, commits := 0, 0
	err := c.each(func(p page) {
		if items += p.old; p.old > 0 {
			commits++
		}
	})
	if err == nil {
		fmt.Printf("estimate %d %d\n", items, commits)
	}
	return err
}

// check is an error while an item has the old form.
func check(c *client) error {
	left := 0
	if err := c.each(func(p page) { left += p.old }); err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d items have the old form", left)
	}
	return nil
}

// checkpoint is how far a move came: all profiles up to name.
type checkpoint struct {
	done, total int
	name        string
}

// tell says how far it came and waits until that is on record.
func (c checkpoint) tell(in *bufio.Reader) error {
	fmt.Printf("checkpoint %d %d %d/%d/%s\n", c.done, c.total, c.done, c.total, c.name)
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for the checkpoint to be on record: %w", err)
	}
	if strings.TrimSpace(line) != "go" {
		return fmt.Errorf("wait for the checkpoint to be on record: it was answered %q", line)
	}
	return nil
}

func parseCheckpoint(token string) (c checkpoint, err error) {
	parts := strings.SplitN(token, "/", 3)
	if len(parts) != 3 {
		return c, fmt.Errorf("the checkpoint is %q", token)
	}
	var wrong error
	c.done, err = strconv.Atoi(parts[0])
	c.total, wrong = strconv.Atoi(parts[1])
	c.name = parts[2]
	return c, errors.Join(err, wrong)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

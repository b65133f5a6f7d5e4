package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

// The moments between the public ones are read from what the members write down
// anyway: the log of one, and the transcript. All are on this machine's clock.

// loggedAt is when a member's log first says msg, which is of more than one word.
func loggedAt(log, msg string) (time.Time, error) {
	f, err := os.Open(log)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if !strings.Contains(lines.Text(), fmt.Sprintf("msg=%q", msg)) {
			continue
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "time="), " ")
		return time.Parse(time.RFC3339Nano, text)
	}
	return time.Time{}, fmt.Errorf("%s never says %q", log, msg)
}

// toldAt is when the transcript first says what.
func toldAt(transcript []string, what string) (time.Time, error) {
	all, err := momentsOf(transcript, what)
	if err != nil {
		return time.Time{}, err
	}
	return all[0], nil
}

// momentsOf are all the times at which the transcript says what; there is one at least.
func momentsOf(transcript []string, what string) (all []time.Time, err error) {
	for _, line := range transcript {
		stamp, text, _ := strings.Cut(line, " ")
		if !strings.Contains(text, what) {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			return nil, fmt.Errorf("read the transcript: %w", err)
		}
		all = append(all, at)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the transcript never says %q: %q", what, transcript)
	}
	return all, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ask puts a question to the person at the terminal. An empty answer is fallback.
// The interrupt of a person who does not answer, and the end of what is typed, are
// context.Canceled.
func (a *app) ask(ctx context.Context, question, fallback string) (string, error) {
	fmt.Fprint(a.stderr, printable(question), shown(fallback), ": ")
	answer, err := a.answer(ctx, func() (string, error) { return line(a.stdin) })
	if err != nil {
		fmt.Fprintln(a.stderr)
		return "", err
	}
	return first(strings.TrimSpace(answer), fallback), nil
}

func shown(fallback string) string {
	if fallback == "" {
		return ""
	}
	return " [" + printable(fallback) + "]"
}

// askSecret asks for what is not to be seen. However it ends, the terminal shows
// again what is typed.
func (a *app) askSecret(ctx context.Context, question string) (string, error) {
	file, is := a.stdin.(*os.File)
	if !is {
		return "", fmt.Errorf("ask for the %s: stdin is not a terminal", question)
	}
	fmt.Fprint(a.stderr, question, ": ")
	defer fmt.Fprintln(a.stderr)
	fd := int(file.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the %s: %w", question, err)
	}
	defer term.Restore(fd, before)
	return a.answer(ctx, func() (string, error) {
		secret, err := term.ReadPassword(fd)
		return string(secret), err
	})
}

// askYes is no unless yes is said.
func (a *app) askYes(ctx context.Context, question string) (bool, error) {
	answer, err := a.ask(ctx, question+" (yes or no)", "no")
	said := strings.ToLower(answer)
	return said == "yes" || said == "y", err
}

// answer waits for read, and no longer than for the interrupt: a read of a
// terminal can't be called off.
func (a *app) answer(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case g := <-got:
		if errors.Is(g.err, io.EOF) {
			return "", context.Canceled
		}
		return g.text, g.err
	}
}

// line reads up to the end of a line and not one byte more: what comes after it
// may be the answer to another question.
func line(r io.Reader) (string, error) {
	var all []byte
	for b := make([]byte, 1); ; {
		n, err := r.Read(b)
		if n > 0 && b[0] == '\n' {
			return string(all), nil
		}
		all = append(all, b[:n]...)
		if err != nil {
			return "", err
		}
	}
}

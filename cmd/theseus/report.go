package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/theseusd/theseus/model"
)

// report writes err for a person, in the shape that Digital Rebar's client has:
// one message on the line, several below it.
func report(w io.Writer, err error) {
	if err == nil {
		return
	}
	subject, messages := parts(err)
	if len(messages) == 1 {
		subject, messages = append(subject, messages[0]), nil
	}
	fmt.Fprintln(w, printable("Error: "+strings.Join(subject, ": ")))
	for _, m := range append(messages, advice(err)...) {
		fmt.Fprintln(w, "  "+printable(m))
	}
}

// parts are what err is about, and what it says.
func parts(err error) (subject, messages []string) {
	var answer *model.Error
	var problem *model.Problem
	switch {
	case errors.As(err, &answer):
		return about(answer.Type, answer.Model, answer.Key), answer.Messages
	case errors.Is(err, context.Canceled):
		return nil, []string{"interrupted"}
	case errors.As(err, &problem):
		return about("", problem.Model, problem.Key), problem.Messages
	}
	return nil, strings.Split(err.Error(), "\n")
}

func about(kind, model, key string) []string {
	var all []string
	if kind != "" {
		all = append(all, kind)
	}
	if key != "" {
		model += "/" + key
	}
	if model != "" {
		all = append(all, model)
	}
	return all
}

// advice is what to do about errors that a server can't know the cure of.
func advice(err error) []string {
	var e *model.Error
	var authority x509.UnknownAuthorityError
	var follow *followBroken
	var all []string
	if errors.As(err, &follow) {
		all = append(all, "the upgrade does not depend on being followed; look again with: theseus system upgrade status --follow")
	}
	switch {
	case errors.As(err, &e) && e.Code == http.StatusUnauthorized:
		all = append(all, "log in by THESEUS_KEY=user:password or THESEUS_TOKEN")
	case errors.As(err, &authority):
		all = append(all, "name the cluster's CA by THESEUS_CA_CERT or --ca-cert (every member has it as tls/ca.pem in its data directory), or take any certificate with -k")
	}
	return all
}

// printable keeps what a server sent from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

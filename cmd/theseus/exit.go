package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/theseusd/theseus/client"
	"github.com/theseusd/theseus/model"
)

// exit is one row of the table of exit codes.
type exit struct {
	code    int
	meaning string
	is      func(error) bool
}

// exits is every way to end; the first row that fits is the one.
func exits() []exit {
	return []exit{
		{0, "done", func(err error) bool { return err == nil }},
		{130, "interrupted", func(err error) bool { return errors.Is(err, context.Canceled) }},
		{2, "wrong usage", as[*usageError]},
		{3, "not found", answered(model.NotFound, http.StatusNotFound)},
		{4, "not allowed", either(
			answered(model.Unauthorized, http.StatusUnauthorized, http.StatusTooManyRequests), answered(model.Forbidden, http.StatusForbidden))},
		{5, "unreachable, or no leader", either(
			as[*client.Unreachable], answered(model.Unavailable, http.StatusServiceUnavailable))},
		{6, "conflict, or a precondition is not met", either(
			answered(model.Conflict, http.StatusConflict, http.StatusPreconditionFailed),
			answered(model.Refused, http.StatusUnprocessableEntity))},
		{7, "the upgrade failed and went back", func(err error) bool {
			var f *upgradeFailed
			return errors.As(err, &f) && f.wentBack()
		}},
		{8, "going back failed, and a person is needed", func(err error) bool {
			var f *upgradeFailed
			return errors.As(err, &f) && f.stuck()
		}},
		{124, "timeout", either(
			func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			answered("", http.StatusGatewayTimeout, http.StatusRequestTimeout))},
		{1, "failure", func(error) bool { return true }},
	}
}

func exitCode(err error) int {
	all := exits()
	return all[slices.IndexFunc(all, func(e exit) bool { return e.is(err) })].code
}

func exitHelp() string {
	all := exits()
	slices.SortFunc(all, func(a, b exit) int { return a.code - b.code })
	var s strings.Builder
	for _, e := range all {
		fmt.Fprintf(&s, "  %-4d%s\n", e.code, e.meaning)
	}
	return s.String()
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func either(all ...func(error) bool) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(all, func(is func(error) bool) bool { return is(err) })
	}
}

// answered says whether a server answered with one of codes, or a rule of our
// own refused with kind.
func answered(kind model.Kind, codes ...int) func(error) bool {
	return func(err error) bool {
		var e *model.Error
		if errors.As(err, &e) {
			return slices.Contains(codes, e.Code)
		}
		return kind != "" && model.KindOf(err) == kind
	}
}

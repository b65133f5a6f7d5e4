package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is one request, as its client saw it.
type operation struct {
	client     int
	write      bool
	key, value int
	acked      bool  // the client was told that it is done
	call, back int64 // nanoseconds since the load began
}

func (o operation) String() string {
	verb, fate := "read", ""
	if o.write {
		verb = "write"
	}
	if !o.acked {
		fate = ", not acknowledged"
	}
	return fmt.Sprintf("%s..%s client %d %s %s = %d%s", time.Duration(o.call).Round(time.Millisecond),
		time.Duration(o.back).Round(time.Millisecond), o.client, verb, param(o.key), o.value, fate)
}

// register is one param: a read answers the last value written, 0 before any.
func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, _ any) (bool, any) {
			o := input.(operation)
			if o.write {
				return true, o.value
			}
			return o.value == state.(int), state
		},
		DescribeOperation: func(input, _ any) string { return input.(operation).String() },
	}
}

// enough is how long the check of one key may take; what is not decided then is
// reported as that.
const enough = 20 * time.Second

// linearizable says for what keys the history has no order in which it could
// have happened one after the other, and which keys it could not decide.
func linearizable(all []operation) (bad, open []string) {
	for key := range keys {
		some := slices.DeleteFunc(slices.Clone(all), func(o operation) bool { return o.key != key })
		some = heard(some)
		result, info := porcupine.CheckOperationsVerbose(register(), events(some), enough)
		switch result {
		case porcupine.Illegal:
			bad = append(bad, fmt.Sprintf("%s is not linearizable: %s", param(key), where(some, info)))
		case porcupine.Unknown:
			open = append(open, param(key))
		}
	}
	return bad, open
}

// heard leaves out the writes that were not acknowledged and that nobody read:
// put last, each fits any order.
func heard(ops []operation) []operation {
	read := map[int]bool{}
	for _, o := range ops {
		if !o.write {
			read[o.value] = true
		}
	}
	return slices.DeleteFunc(ops, func(o operation) bool { return o.write && !o.acked && !read[o.value] })
}

// events is the history in the words of the checker. What was not acknowledged
// may take effect at any time later.
func events(ops []operation) (all []porcupine.Operation) {
	for _, o := range ops {
		back := o.back
		if !o.acked {
			back = math.MaxInt64
		}
		all = append(all, porcupine.Operation{ClientId: o.client, Input: o, Call: o.call, Return: back})
	}
	return all
}

// where is the operations around the first that no order of those before allows.
func where(ops []operation, info porcupine.LinearizationInfo) string {
	longest := 0
	for _, partition := range info.PartialLinearizations() {
		for _, order := range partition {
			longest = max(longest, len(order))
		}
	}
	slices.SortFunc(ops, func(a, b operation) int { return int(a.back - b.back) })
	from, to := max(0, longest-8), min(len(ops), longest+6)
	var lines []string
	for _, o := range ops[from:to] {
		lines = append(lines, "      "+o.String())
	}
	return fmt.Sprintf("around operation %d of %d:\n%s", longest, len(ops), strings.Join(lines, "\n"))
}

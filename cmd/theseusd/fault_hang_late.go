//go:build fault_hang_late

package main

import (
	"sync/atomic"
	"time"
)

// hangsAt is when a build with FAULT=hang-late stands still.
var hangsAt atomic.Pointer[time.Time]

// misbehaveLate makes a build with FAULT=hang-late a bad release: it passes its
// self-check, serves and joins, and some seconds later its main loop stands
// still, while its process lives and its sockets stay open.
func misbehaveLate() {
	at := time.Now().Add(2 * time.Second)
	hangsAt.CompareAndSwap(nil, &at)
	if time.Now().After(*hangsAt.Load()) {
		select {}
	}
}

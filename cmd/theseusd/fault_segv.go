//go:build fault_segv

package main

import (
	"os"
	"syscall"
)

// misbehave makes a build with FAULT=segv a bad release: it passes its self-check
// and gets a segmentation fault as soon as it serves.
func misbehave() {
	syscall.Kill(os.Getpid(), syscall.SIGSEGV)
	select {}
}

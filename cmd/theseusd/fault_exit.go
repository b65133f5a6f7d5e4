//go:build fault_exit

package main

import "os"

// misbehave makes a build with FAULT=exit a bad release: it passes its self-check
// and exits as soon as it serves.
func misbehave() {
	os.Exit(3)
}

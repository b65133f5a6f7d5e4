//go:build !fault_hang_early

package main

// misbehaveEarly does nothing: this build does not hang before it serves.
func misbehaveEarly() {}
